#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"

/// Espalier as a library: load a model, run a pipeline, save. Everything else in the namespace is for the project
/// itself and may change. Errors are thrown as espalier::Error; its kind is the command's exit code.
///
///     espalier::Network net = espalier::Network::load("net.onnx");
///     for (const auto& change : net.apply("simplify, fuse")) std::cout << change.pass << '\n';
///     net.save("small.onnx");

namespace espalier {

struct Model;

/// How a pipeline is run.
struct ApplySettings {
  uint64_t seed = 0;
  int threads = 0;     ///< 0: what affinity and cgroup allow; holds for the whole process
  /// Samples for passes that learn or measure, as `espalier slim --train` and `--val` take them: "train.npz",
  /// "data.npz:x=images,y=labels", MNIST's IDX. Without `validation` a tenth of `train` is set aside.
  std::string train = {}, validation = {};
  /// What the model gets is (x * scale - mean) / std: "1/255", "0.5,0.4,0.3"; empty: 1, 0, 1.
  std::string scale = {}, mean = {}, std = {};
  bool verify = true;  ///< compare the outputs before and after each pass that promises them equal
  std::function<void(const std::string&)> log = {};  ///< called with one line at a time; may be empty
  std::function<bool()> stop = {};                   ///< asked between steps; true ends with Error(interrupted)
};

/// What one pass of a pipeline did.
struct Change {
  std::string pass;            ///< with its options, as pipeline text
  bool changed = false;
  double seconds = 0;
  size_t nodes_before = 0, nodes_after = 0;
  std::string verification;    ///< "passed", "unchanged", "off", or "unverified: " and why
  std::vector<std::string> notes;
};

/// A model in memory. A value: copies share what they have in common.
class Network {
 public:
  /// The model of an .onnx file, or of a file in our text form. Throws Error(bad_data) for a file that is not a sound
  /// model, Error(io) if it cannot be read.
  static Network load(const std::string& path);
  /// The model of a graph in our text form. Throws Error(bad_data) with line and column.
  static Network parse(std::string_view text);

  /// Writes an .onnx file, whole or not at all. Throws Error(io).
  void save(const std::string& path) const;
  /// The graph in our text form, with big tensors left out.
  std::string text() const;

  /// Runs a pipeline such as "simplify, prune{flops=0.5}, fuse" and returns what each pass did. On an exception the
  /// network is as it was before. Throws Error(usage) for a text that is no pipeline or a setting that cannot be read,
  /// Error(verification) if a pass broke its promise, Error(target) if a budget is out of reach, and what reading the data throws.
  std::vector<Change> apply(std::string_view pipeline, const ApplySettings& settings = {});

  /// Multiply-accumulates of one run, every symbolic size of the inputs (a batch, say) taken as 1. Nodes whose sizes
  /// are not known count nothing.
  int64_t macs() const;
  /// Elements of all float constants.
  int64_t parameters() const;

  /// The graph itself, for programs built inside the project.
  const Model& model() const { return *model_; }

 private:
  explicit Network(Model model);

  std::shared_ptr<const Model> model_;
};

/// Names of the passes that a pipeline may use, sorted.
std::vector<std::string> pass_names();

/// The library's version, "0.1.0".
std::string_view version();

}  // namespace espalier
