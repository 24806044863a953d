#include "lib/graph/node.h"

#include <algorithm>

#include "lib/base/error.h"

namespace espalier {

const Attribute* Node::find(std::string_view attribute) const {
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [&](const Attribute& a) { return a.name == attribute; });
  return found == attributes.end() ? nullptr : &*found;
}

std::string Node::where() const {
  return name.empty() ? "node (" + op_type + ")" : "node '" + name + "' (" + op_type + ")";
}

void detail::wrong_attribute(const Node& node, std::string_view attribute, bool present) {
  throw Error(ErrorKind::bad_data, node.where() + ": attribute '" + std::string(attribute) + "' " +
                                       (present ? "is of another kind than the operator expects" : "is missing"));
}

}  // namespace espalier
