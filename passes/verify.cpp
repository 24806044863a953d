#include "passes/verify.h"

#include <fmt/format.h>

#include <algorithm>

#include "passes/check_inputs.h"
#include "passes/compare.h"
#include "passes/cut_pair.h"

namespace espalier {
namespace {

Feeds only_inputs(const Graph& graph, const Feeds& feeds) {
  Feeds result;
  for (const ValueId v : graph.inputs) {
    const auto found = feeds.find(graph.value(v).name);
    if (found != feeds.end()) result.insert(*found);
  }
  return result;
}

double compare_once(const CutPair& cut, const Feeds& feeds, Contract contract) {
  const Feeds inputs = only_inputs(cut.before, feeds);
  const bool exact = contract == Contract::exact && !large(cut.before, inputs);
  const Feeds expected = run_graph(cut.before, inputs);
  Feeds actual;
  try {
    actual = run_graph(cut.after, only_inputs(cut.after, feeds));
  } catch (const Error& error) {
    throw Error(ErrorKind::verification, std::string("the changed graph does not run: ") + error.what());
  }
  double worst = 0;
  for (const auto& [a, b] : cut.compared) {
    if (!expected.contains(a) && !actual.contains(b)) continue;  // no tensors, though nothing declared it
    if (!expected.contains(a) || !actual.contains(b)) throw Error(ErrorKind::verification, "output '" + a + "' is a tensor in one graph only");
    const OutputDifference d = difference(a, expected.at(a), actual.at(b));
    const double allowed = exact ? 0 : tolerance(d.type);
    if (!d.comparable || d.relative() > allowed) throw Error(ErrorKind::verification, describe(d, allowed));
    worst = std::max(worst, d.relative());
  }
  return worst;
}

/// Two sets of generated inputs, or the user's, completed where a cut made further inputs.
std::vector<Feeds> feeds_for(const CutPair& cut, const Resources& resources) {
  constexpr uint32_t kGenerated = 2;
  Resources sized = resources;
  for (const Feeds& feeds : resources.check_inputs) {
    for (const ValueId v : cut.before.inputs) {
      const auto found = feeds.find(cut.before.value(v).name);
      const Type& type = cut.before.value(v).type;
      if (found == feeds.end() || !type.has_rank() || found->second.dims().size() != type.dims->size()) continue;
      for (size_t axis = 0; axis < type.dims->size(); ++axis) {
        if (const auto symbol = (*type.dims)[axis].symbol_name()) sized.symbols[*symbol] = found->second.dims()[axis];
      }
    }
  }
  std::vector<Feeds> result = resources.check_inputs;
  const bool complete = !result.empty() && std::all_of(cut.before.inputs.begin(), cut.before.inputs.end(), [&](ValueId v) {
    return cut.before.initializer(v) || result.front().contains(cut.before.value(v).name);
  });
  if (complete) return result;
  if (result.empty()) result.resize(kGenerated);
  const auto dims = choose_input_dims(cut.before, sized);
  for (size_t run = 0; run < result.size(); ++run) {
    result[run].merge(generate_inputs(cut.before, dims, resources.seed, static_cast<uint32_t>(run)));
  }
  return result;
}

std::string joined(const std::vector<std::string>& parts) {
  constexpr size_t kShown = 3;
  std::string result;
  for (size_t i = 0; i < std::min(parts.size(), kShown); ++i) result += (i ? "; " : "") + parts[i];
  if (parts.size() > kShown) result += fmt::format("; and {} more", parts.size() - kShown);
  return result;
}

/// Only tensors are compared; the report says what is not.
void leave_out_sequences(CutPair& cut) {
  const auto no_tensor = [&](const std::pair<std::string, std::string>& names) {
    const Type& type = cut.before.value(cut.before.find_value(names.first)).type;
    if (type.kind != Type::Kind::sequence && type.kind != Type::Kind::optional) return false;
    cut.open.push_back(fmt::format("output '{}' is {}, which is not compared", names.first, type.str()));
    return true;
  };
  std::erase_if(cut.compared, no_tensor);
}

}  // namespace

Verification verify_outputs(const Graph& before, const Graph& after, Contract contract, const Resources& resources) {
  std::set<std::string> fed;
  if (!resources.check_inputs.empty()) {
    for (const auto& [input, tensor] : resources.check_inputs.front()) fed.insert(input);
  }
  CutPair cut = cut_at_opaque_nodes(before, after, fed);
  leave_out_sequences(cut);
  if (cut.compared.empty()) return {Verification::State::unverified, 0, "nothing could be compared: " + joined(cut.open)};

  std::vector<Feeds> sets;
  try {
    sets = feeds_for(cut, resources);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::bad_data) throw;
    return {Verification::State::unverified, 0, error.what()};
  }
  Verification result;
  result.state = cut.open.empty() ? Verification::State::passed : Verification::State::unverified;
  for (const Feeds& feeds : sets) {
    stop_if_asked(resources);
    result.worst = std::max(result.worst, compare_once(cut, feeds, contract));
  }
  result.detail = fmt::format("{} outputs, {} runs", cut.compared.size(), sets.size());
  if (!cut.open.empty()) result.detail += "; " + joined(cut.open);
  return result;
}

}  // namespace espalier
