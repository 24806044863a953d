#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lib/analysis/infer.h"
#include "lib/graph/host_value.h"
#include "lib/runtime/plan.h"

namespace espalier {

class StageMaker;
struct SessionBody;

/// Runs any graph: also one with If, Loop, Scan, sequences, optionals, and values whose sizes depend on data. The graph is
/// cut into stages. A stage is one plan of all nodes whose sizes are known when it begins, and then the nodes that are run
/// by their reference: those with bodies, those that read or make something else than tensors, and those whose result's
/// size only they know (NonZero, Compress, Range, Reshape to calculated sizes ...). What follows is a stage of its own,
/// compiled when the sizes that decide it are first seen, and kept. Bodies are sessions, so a Loop's body is compiled once
/// per shape, not per iteration; what is constant outside is constant inside.
/// A stage of few elements and no multiply-accumulate is run by reference: a plan would cost more than it saves.
class Session {
 public:
  /// The store must outlive the session. `options` as of Plan; input shapes are taken from what is fed.
  Session(const Graph& graph, ParameterStore& store, const CompileOptions& options);
  ~Session();
  Session(Session&&) noexcept;

  /// feeds: one a graph input without an initialiser. Returns the graph's outputs by name. Gradients go to the store.
  /// Throws Error(bad_data) for a missing or unknown feed, one of another type than declared, an opaque operator, and what
  /// an operator finds wrong with its data.
  std::map<std::string, HostValue> run(const std::map<std::string, HostValue>& feeds);
  /// The same by position: inputs without an initialiser in, outputs out.
  std::vector<HostValue> run(const std::vector<HostValue>& inputs);

  /// Of all plans that are compiled at present; nodes run by reference are fallback steps.
  PlanCounters counters() const;
  size_t compiled_plans() const;
  void set_profiling(bool on);
  /// By node, over all plans and bodies; milliseconds are means over the session's runs.
  std::vector<StepProfile> profile() const;

 private:
  struct Stage;
  using Values = std::vector<HostValue>;
  using Stages = std::map<std::vector<int64_t>, std::unique_ptr<Stage>>;

  void choose_live();
  void choose_parameters();
  Stage& find_stage(Stages& stages, const std::vector<ValueId>& decides, const Values& values, const Stage* before);
  std::unique_ptr<Stage> make_stage(const Values& values, const Stage* before);
  void finish_stage(Stage& stage, StageMaker& maker, const Values& values);
  bool delivers(const std::vector<NodeId>& nodes) const;
  CompileOptions part_options() const;
  void compile(Stage& stage, const std::vector<NodeId>& nodes);
  SessionBody make_body(const Stage& stage, NodeId id, std::string_view attribute) const;
  void deliver(Stage& stage, const Values& values);
  void execute(Stage& stage, Values& values);
  void run_node(Stage& stage, NodeId id, Values& values);
  std::vector<HostValue> run_body(Stage& stage, NodeId id, std::string_view attribute, const std::vector<HostValue>& inputs,
                                  const Values& values);
  template <class Visit>
  void for_each_stage(Visit&& visit) const;

  Graph graph_;
  ParameterStore& store_;
  CompileOptions options_;
  std::vector<ValueId> inputs_;      ///< those to be fed
  std::set<NodeId> live_;
  std::set<ValueId> parameters_;     ///< held by the store, read anew each run
  std::map<ValueId, std::string> gradients_;
  std::set<ValueId> wanted_;
  std::vector<std::vector<ValueId>> reads_;  ///< by node: inputs, and what its bodies capture
  Stages first_;
  bool profiling_ = false;
  int64_t profiled_runs_ = 0;
};

}  // namespace espalier
