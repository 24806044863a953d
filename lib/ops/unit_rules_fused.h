#pragma once

// Unit rules of fused operators that have one file each (unit_rules.h).
namespace espalier {

class UnitContext;
class CutContext;

namespace units {
void einsum(UnitContext& c);     ///< contracted labels join and are sinks, the others pass
void attention(UnitContext& c);  ///< Attention: heads are rows, query and key share their units
}  // namespace units

namespace cuts {
void einsum(CutContext& c);
void attention(CutContext& c);
void neighbours(CutContext& c);  ///< LRN
}  // namespace cuts

}  // namespace espalier
