#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/analysis/infer.h"

namespace espalier {

/// A graph whose If, Loop and Scan bodies stand open between its other nodes, so that unit rules and the surgeon walk
/// through them as through any others: what a body reads from outside is an ordinary operand.
///
///     y = If(c) {then_branch = () -> (t) {...}, else_branch = () -> (e) {...}}      ...  ...  y = If(c, t, e)
///     y = Loop(m, c, s) {body = (i, k, a) -> (k, b) {...}}          i, k, a = BodyBegin()  ...  y = Loop(m, c, s, k, b)
///
/// It is never run: close_bodies() makes the graph that can be.
struct OpenedBodies {
  struct Opened {
    NodeId end = kNone;            ///< the node whose body it is
    std::string attribute;
    Body body;                     ///< as it was
    int outside = -1;              ///< the opened body in which `end` stands; -1: none
    std::vector<ValueId> inputs;   ///< values that BodyBegin makes
    size_t first = 0, count = 0;   ///< its outputs among the inputs of `end`
  };

  Graph graph;
  std::vector<Opened> bodies;                          ///< an outer one before those inside it
  std::unordered_map<NodeId, int> body_of;             ///< nodes that stand in a body
  std::unordered_map<NodeId, Node> closed;             ///< by `end`: the node as it was
  std::unordered_map<std::string, std::string> names;  ///< of the bodies' values: here -> in the body
  std::unordered_map<std::string, int> home;           ///< of the bodies' values, by name here
  std::vector<Fact> bound, symbolic;                   ///< of the values that were added, in order
};

/// Opens what can be: each body was entered by both inferences, and what stands in it can be opened too. nullptr where
/// nothing can.
std::shared_ptr<const OpenedBodies> open_bodies(const Graph& graph, const FactTable& bound, const FactTable& symbolic);

/// `graph`, which was made from opened.graph, with its bodies closed. A body in which nothing changed is the very same.
/// made_for: nodes that were added, and for which node.
Graph close_bodies(const OpenedBodies& opened, const Graph& graph, const std::unordered_map<NodeId, NodeId>& made_for);

}  // namespace espalier
