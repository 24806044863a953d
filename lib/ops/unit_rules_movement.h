#pragma once

// Unit rules of operators that move elements by data, by position or in blocks (unit_rules.h has those of the others).
namespace espalier {

class UnitContext;
class CutContext;

namespace units {
void gather_elements(UnitContext& c);   ///< the axis is picked from by data, the others join those of the indices
void gather_nd(UnitContext& c);         ///< the axes that tuples name are picked from, those behind pass
void scatter_elements(UnitContext& c);  ///< Scatter, ScatterElements: the axis is written to by data
void scatter_nd(UnitContext& c);
void tile(UnitContext& c);              ///< ids repeat
void counted_axis(UnitContext& c);      ///< ArgMax, ArgMin, TopK, CumSum: the axis is counted, the others pass
void trilu(UnitContext& c);             ///< the last two axes are positions
void det(UnitContext& c);               ///< they are gone
void center_crop_pad(UnitContext& c);   ///< axes that change their size are positions, the others pass
void depth_to_space(UnitContext& c);    ///< also SpaceToDepth
void one_hot(UnitContext& c);           ///< axes of the indices pass beside the new one
void compress(UnitContext& c);          ///< under a constant condition the positions it picks
void sized(UnitContext& c);             ///< only the input's sizes are read: it stays whole
}  // namespace units

namespace cuts {
void gather_elements(CutContext& c);
void gather_nd(CutContext& c);
void scatter_elements(CutContext& c);
void scatter_nd(CutContext& c);
void tile(CutContext& c);
void counted_axis(CutContext& c);
void trilu(CutContext& c);
void det(CutContext& c);
void center_crop_pad(CutContext& c);
void depth_to_space(CutContext& c);
void one_hot(CutContext& c);
void compress(CutContext& c);
void sized(CutContext& c);
}  // namespace cuts

}  // namespace espalier
