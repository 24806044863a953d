#include "passes/prune/states.h"

#include <algorithm>
#include <sstream>

#include "lib/base/error.h"
#include "passes/resources.h"

namespace espalier::passes {
namespace {

/// The states that a user declared; what Loop and Scan carry is nobody's business outside.
std::vector<StateUnits> interface_states(const UnitTable& table) {
  std::vector<StateUnits> result = table.states;
  std::erase_if(result, [&](const StateUnits& s) { return !table.graph->is_input(s.input); });
  return result;
}

}  // namespace

std::vector<DeclaredState> states_of(const Graph& graph, const std::string& text) {
  const auto among = [&](const std::vector<ValueId>& values, const std::string& name) {
    const ValueId v = graph.find_value(name);
    return v != kNone && std::find(values.begin(), values.end(), v) != values.end();
  };
  std::vector<DeclaredState> states;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    bool found = false;
    for (size_t at = part.find(':'); !found && at != std::string::npos; at = part.find(':', at + 1)) {
      found = among(graph.inputs, part.substr(0, at)) && among(graph.outputs, part.substr(at + 1));
      if (found) states.emplace_back(part.substr(0, at), part.substr(at + 1));
    }
    if (!found) throw Error(ErrorKind::usage, "state '" + part + "' is no input:output of the model").hint("espalier info lists both");
  }
  return states;
}

void refuse_states_with_data(const PassContext& c, const UnitTable& table) {
  const Resources& given = c.resources();
  const auto states = interface_states(table);
  if (states.empty() || (!given.train && !given.validation)) return;
  const Value& state = table.graph->value(states.front().input);
  throw Error(ErrorKind::usage,
              "state '" + state.name + "' cannot shrink where data are given: the samples hold it as " + state.type.str())
      .hint("prune with state and without data first, then finetune on samples that hold the smaller states");
}

void note_states(PassContext& c, const UnitTable& table, const Graph& cut) {
  for (const StateUnits& s : interface_states(table)) {
    const std::string &in = table.graph->value(s.input).name, &out = table.graph->value(s.output).name;
    const std::string was = table.graph->value(s.input).type.str(), now = cut.value(s.input).type.str();
    c.note("interface: state '" + in + "' -> '" + out + "' is " + (was == now ? now + " as before" : now + ", was " + was));
  }
}

}  // namespace espalier::passes
