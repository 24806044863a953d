#pragma once

namespace espalier {

class UnitContext;
class CutContext;

// Unit rules of operators on images.
namespace units {
void resize(UnitContext& c);          ///< Resize, Upsample: axes that keep their size pass, the others are mixed
void first_channels(UnitContext& c);  ///< GridSample, RoiAlign, MaxRoiPool: channels of input 0 pass, the rest are places
void max_unpool(UnitContext& c);      ///< channels pass where the indices are those of a MaxPool of the same channels
}  // namespace units

namespace cuts {
void resize(CutContext& c);           ///< sizes are written anew where one of them changed; scales stay
void first_channels(CutContext& c);
void max_unpool(CutContext& c);
}  // namespace cuts

}  // namespace espalier
