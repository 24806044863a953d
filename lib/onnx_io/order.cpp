#include "lib/onnx_io/order.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <set>
#include <string_view>
#include <unordered_map>

#include "lib/base/error.h"

namespace espalier::onnx_io {
namespace {

using Names = std::set<std::string_view>;
using Producers = std::unordered_map<std::string_view, int>;

template <class Visit>
void for_each_body(const onnx::NodeProto& node, Visit&& visit) {
  for (const auto& attribute : node.attribute()) {
    if (attribute.has_g()) visit(attribute.g());
    for (const auto& g : attribute.graphs()) visit(g);
  }
}

// Names that a body reads from outside itself.
Names outer_names(const onnx::GraphProto& body) {
  Names used, made;
  for (const auto& input : body.input()) made.insert(input.name());
  for (const auto& tensor : body.initializer()) made.insert(tensor.name());
  for (const auto& sparse : body.sparse_initializer()) made.insert(sparse.values().name());
  for (const auto& node : body.node()) {
    used.insert(node.input().begin(), node.input().end());
    for_each_body(node, [&](const onnx::GraphProto& inner) { used.merge(outer_names(inner)); });
    made.insert(node.output().begin(), node.output().end());
  }
  for (const auto& output : body.output()) used.insert(output.name());
  for (const std::string_view name : made) used.erase(name);
  return used;
}

Producers producers_of(const onnx::GraphProto& graph) {
  Producers producers;
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const std::string& output : graph.node(i).output()) {
      if (output.empty() || producers.emplace(output, i).second) continue;
      throw Error(ErrorKind::bad_data, "value '" + output + "' is made twice, the second time by node '" +
                                           graph.node(i).name() + "' (" + graph.node(i).op_type() + ")");
    }
  }
  return producers;
}

std::vector<std::vector<int>> dependencies(const onnx::GraphProto& graph, const Producers& producers) {
  std::vector<std::vector<int>> result(static_cast<size_t>(graph.node_size()));
  for (int i = 0; i < graph.node_size(); ++i) {
    auto& needs = result[static_cast<size_t>(i)];
    const auto need = [&](std::string_view name) {
      const auto made_by = producers.find(name);
      if (made_by != producers.end()) needs.push_back(made_by->second);
    };
    for (const std::string& input : graph.node(i).input()) need(input);
    for_each_body(graph.node(i), [&](const onnx::GraphProto& body) {
      for (const std::string_view name : outer_names(body)) {
        // A body may make what its own node makes later under the same name; only a direct input makes a cycle of it.
        const auto made_by = producers.find(name);
        if (made_by != producers.end() && made_by->second != i) needs.push_back(made_by->second);
      }
    });
    std::sort(needs.begin(), needs.end());
    needs.erase(std::unique(needs.begin(), needs.end()), needs.end());
  }
  return result;
}

// Kahn's algorithm; of the nodes that can run, the earliest of the file goes first.
std::vector<int> sorted(const onnx::GraphProto& graph, const std::vector<std::vector<int>>& needs) {
  std::vector<std::vector<int>> followers(needs.size());
  std::vector<size_t> open(needs.size());
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (size_t i = 0; i < needs.size(); ++i) {
    open[i] = needs[i].size();
    if (open[i] == 0) ready.push(static_cast<int>(i));
    for (const int before : needs[i]) followers[static_cast<size_t>(before)].push_back(static_cast<int>(i));
  }
  std::vector<int> order;
  while (!ready.empty()) {
    order.push_back(ready.top());
    ready.pop();
    for (const int next : followers[static_cast<size_t>(order.back())]) {
      if (--open[static_cast<size_t>(next)] == 0) ready.push(next);
    }
  }
  if (order.size() < needs.size()) {
    const auto stuck = std::find_if(open.begin(), open.end(), [](size_t n) { return n > 0; }) - open.begin();
    const auto& node = graph.node(static_cast<int>(stuck));
    throw Error(ErrorKind::bad_data, "node '" + node.name() + "' (" + node.op_type() + "): needs its own output, the graph has a cycle");
  }
  return order;
}

}  // namespace

std::vector<int> execution_order(const onnx::GraphProto& graph) {
  const auto needs = dependencies(graph, producers_of(graph));
  bool in_order = true;
  for (size_t i = 0; i < needs.size(); ++i) {
    in_order = in_order && (needs[i].empty() || needs[i].back() < static_cast<int>(i));
  }
  if (!in_order) return sorted(graph, needs);
  std::vector<int> order(needs.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  return order;
}

}  // namespace espalier::onnx_io
