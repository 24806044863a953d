// Random graphs, the same result on every path: by plans, by `evaluate`, simplified, differentiated, pruned, and, with
// -onnxruntime, by ONNX Runtime.
//
//   differential [-runs=2000] [-seed=1] [-nodes=8] [-only=Op,Op] [-checks=plan,prune] [-onnxruntime=PYTHON|auto] [-keep=FOLDER]
//
// Graph i is drawn from seed + i: a failure is repeated with -seed=THAT -runs=1. Runs for hours with a large -runs. Exit 1 where anything
// disagreed. -keep leaves the failing graphs in the text form. Ops that no graph held are
// listed.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "lib/base/parallel.h"
#include "lib/graph/text.h"
#include "lib/onnx_io/load.h"
#include "lib/onnx_io/save.h"
#include "tests/fuzz/differential_checks.h"
#include "tests/support/environment.h"

namespace espalier::testing {
namespace {

struct Options {
  uint64_t runs = 2000, seed = 1;
  int nodes = 8;
  std::set<std::string, std::less<>> only, checks;
  std::string python, keep;
};

std::set<std::string, std::less<>> words(const std::string& text) {
  std::set<std::string, std::less<>> result;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    result.insert(text.substr(at, end - at));
    at = end + 1;
  }
  return result;
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals), value = equals == std::string::npos ? "" : argument.substr(equals + 1);
    if (name == "-runs") o.runs = std::stoull(value);
    else if (name == "-seed") o.seed = std::stoull(value);
    else if (name == "-nodes") o.nodes = std::stoi(value);
    else if (name == "-only") o.only = words(value);
    else if (name == "-checks") o.checks = words(value);
    else if (name == "-onnxruntime") o.python = value;
    else if (name == "-keep") o.keep = value;
    else throw std::invalid_argument("unknown option " + argument);
  }
  return o;
}

/// The graph as a model without inputs, which other runtimes can check by themselves: the feeds are initialisers, and so are
/// what each output should be (`expected/NAME`) and its tolerance (`tolerance/NAME`).
void export_model(const RandomGraph& random, const std::filesystem::path& path) {
  Graph graph = random.graph;
  for (const auto& [name, tensor] : random.feeds) graph.set_initializer(graph.find_value(name), tensor);
  graph.inputs.clear();
  for (const auto& [name, expected] : expected_outputs(random)) {
    graph.set_initializer(graph.add_value("expected/" + name), expected.tensor);
    graph.set_initializer(graph.add_value("tolerance/" + name), Tensor::scalar<double>(expected.tolerance));
  }
  save_model(make_model(graph), path);
}

class Differential {
 public:
  explicit Differential(Options options) : options_(std::move(options)) {
    if (options_.python == "auto") {
      options_.python = python_with("numpy onnx onnxruntime");
      if (options_.python.empty()) fmt::print("ONNX Runtime: skipped: no Python with onnx and onnxruntime\n");
    }
  }

  int run() {
    for (uint64_t i = 0; i < options_.runs; ++i) one(options_.seed + i);
    const bool agreed = onnxruntime();
    summary();
    return failures_ == 0 && agreed ? 0 : 1;
  }

 private:
  void one(uint64_t seed) {
    RandomGraph random;
    try {
      random = random_graph(seed, options_.nodes, options_.only);
    } catch (const std::exception& error) {
      return fail(seed, "drawing", error.what());
    }
    for (const NodeId id : random.graph.nodes()) ++ops_[random.graph.node(id).op_type];
    keep(seed, random);  // before the checks: a crash leaves its graph behind
    bool failed = false;
    for (const DifferentialCheck& check : differential_checks()) {
      if (!options_.checks.empty() && !options_.checks.contains(check.name)) continue;
      try {
        if (check.run(random) == DifferentialCheck::Result::agreed) ++agreed_[check.name];
      } catch (const std::exception& error) {
        fail(seed, check.name, error.what());
        failed = true;
      }
    }
    if (!failed && !options_.keep.empty()) std::filesystem::remove(kept_file(seed));
    if (!options_.python.empty()) export_model(random, folder_ / fmt::format("{}.onnx", seed));
  }

  std::filesystem::path kept_file(uint64_t seed) const {
    return std::filesystem::path(options_.keep) / fmt::format("{}.txt", seed);
  }

  void keep(uint64_t seed, const RandomGraph& random) const {
    if (options_.keep.empty()) return;
    std::filesystem::create_directories(options_.keep);
    std::ofstream(kept_file(seed)) << print_graph(random.graph);
  }

  void fail(uint64_t seed, const std::string& check, const std::string& message) {
    ++failures_;
    fmt::print("seed {}: {}: {}\n", seed, check, message);
  }

  bool onnxruntime() const {
    if (options_.python.empty()) return true;
    const auto script = source_path("tests/fuzz/onnxruntime_agrees.py");
    const int status = std::system(fmt::format("'{}' '{}' '{}'", options_.python, script.string(), folder_.path().string()).c_str());
    return status == 0;
  }

  void summary() const {
    fmt::print("{} graphs of {} ops, {} failures\n", options_.runs, ops_.size(), failures_);
    for (const DifferentialCheck& check : differential_checks()) {
      const auto found = agreed_.find(check.name);
      fmt::print("  {:10} {:6}  {}\n", check.name, found == agreed_.end() ? 0 : found->second, check.summary);
    }
    std::string missing;
    for (const Recipe& recipe : all_recipes()) {
      if (!ops_.contains(recipe.op) && missing.find(" " + recipe.op) == std::string::npos) missing += " " + recipe.op;
    }
    if (!missing.empty() && options_.only.empty()) fmt::print("  in no graph:{}\n", missing);
  }

  Options options_;
  TemporaryFolder folder_;
  std::map<std::string, int64_t> ops_, agreed_;
  int64_t failures_ = 0;
};

}  // namespace
}  // namespace espalier::testing

int main(int argc, char** argv) {
  try {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    espalier::set_thread_count(1);  // the tensors are tiny
    return espalier::testing::Differential(espalier::testing::parse(argc, argv)).run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "differential: {}\n", error.what());
    return 2;
  }
}
