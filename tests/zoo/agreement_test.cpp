// The real models as plans, against ONNX Runtime: `N of M` and every miss are printed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include "lib/base/error.h"
#include "lib/onnx_io/load.h"
#include "lib/onnx_io/save.h"
#include "lib/runtime/plan.h"
#include "tests/support/environment.h"
#include "tests/support/zoo.h"

namespace espalier::testing {
namespace {

namespace fs = std::filesystem;

using Tensors = std::map<std::string, Tensor>;

/// Calls visit(node) for every node, those of bodies included.
template <class Visit>
void for_each_node(const Graph& graph, Visit&& visit) {
  for (const NodeId id : graph.nodes()) {
    visit(graph.node(id));
    for (const Attribute& a : graph.node(id).attributes) {
      if (const auto* body = std::get_if<Body>(&a.value)) for_each_node(**body, visit);
    }
  }
}

/// Opaque operators by domain.
std::map<std::string, std::set<std::string>> opaque_operators(const Graph& graph) {
  std::map<std::string, std::set<std::string>> result;
  for_each_node(graph, [&](const Node& node) {
    if (!find_op(node)) result[node.domain].insert(node.op_type);
  });
  return result;
}

bool has_any(const Graph& graph, const std::set<std::string>& ops) {
  bool found = false;
  for_each_node(graph, [&](const Node& node) { found |= ops.contains(node.op_type); });
  return found;
}

/// How far outputs may be apart, relative to their scale.
struct Kind {
  const char* name;
  double tolerance;
};
/// Where a value is rounded to one of 256 steps, another order of sums moves it by a whole one, a hundredth of the scale: to
/// agree is to have made the same sums in the same order.
constexpr Kind kPlain{"plain", 1e-4}, kRecurrent{"recurrent", 1e-3}, kQuantized{"quantized", 1e-4};

Kind kind_of(const Graph& graph) {
  if (has_any(graph, {"QuantizeLinear"})) return kQuantized;
  return has_any(graph, {"LSTM", "GRU", "RNN", "Loop", "Scan"}) ? kRecurrent : kPlain;
}

/// Sizes where those of the other tests do not suit: detectors of speech want a window of their own, and their states name
/// the batch on axis 1.
std::map<std::string, Dims> sizes_of(const std::string& name, const Graph& graph) {
  auto sizes = concrete_inputs(graph, 2);
  if (name.find("silero") == std::string::npos) return sizes;
  sizes.at("input")[1] = 512;
  for (auto& [input, dims] : sizes) {
    if (dims.size() == 3) dims[1] = 2;
  }
  return sizes;
}

/// A bright page with a line of dark strokes on it.
Tensor page(const Dims& dims) {
  Tensor image(DataType::float32, dims);
  const int64_t width = dims[3], height = dims[2];
  for (int64_t i = 0; i < image.size(); ++i) {
    const int64_t x = i % width, y = i / width % height;
    const bool stroke = x >= 8 && x < width - 8 && x / 2 % 3 == 0 && std::abs(2 * y - height) < 12;
    image.mutable_data<float>()[static_cast<size_t>(i)] = stroke ? -1.0f : 1.0f;
  }
  return image;
}

/// In noise the detector of text finds none: all is below 1e-5, where ONNX Runtime's Sigmoid is off by a hundredth.
Tensors feeds_of(const std::string& name, const Graph& graph, const std::map<std::string, Dims>& sizes, uint64_t seed) {
  Tensors feeds = random_feeds(graph, sizes, seed);
  if (name.find("silero") != std::string::npos) feeds["sr"] = Tensor::scalar(16000).cast(DataType::int64);
  if (name.find("PP-OCRv4_det") != std::string::npos) feeds["x"] = page(sizes.at("x"));
  return feeds;
}

/// What our plan makes of the model.
Tensors run_plan(const std::string& name, const Graph& graph, const Tensors& feeds) {
  ParameterStore store;
  CompileOptions options;
  options.input_shapes = sizes_of(name, graph);
  options.frozen = true;
  Plan plan(graph, store, options);
  for (const auto& [input, tensor] : feeds) plan.feed(input, tensor);
  plan.run();
  Tensors outputs;
  for (const ValueId v : graph.outputs) outputs[graph.value(v).name] = plan.output_tensor(graph.value(v).name);
  return outputs;
}

/// Models to compare, and what came of each.
class Comparison {
 public:
  explicit Comparison(std::string python) : python_(std::move(python)) {}

  void miss(const std::string& name, const std::string& cause) { misses_.push_back(name + ": " + cause); }

  /// Runs the model here and leaves for ONNX Runtime what it needs.
  void add(const std::string& name, const Graph& graph, const fs::path& file, uint64_t seed = 3) {
    const auto opaque = opaque_operators(graph);
    EXPECT_FALSE(opaque.contains("")) << name << ": opaque operators of the default domain: " << *opaque.at("").begin();
    ++count_;
    kinds_[name] = kind_of(graph);
    try {
      const Tensors feeds = feeds_of(name, graph, sizes_of(name, graph), seed);
      write_case(name, file, feeds, run_plan(name, graph, feeds));
    } catch (const Error& e) {
      miss(name, e.what());
    }
  }

  /// Lets ONNX Runtime run what was added since the last call.
  void compare() {
    const std::string script = source_path("tests/zoo/onnxruntime_outputs.py").string();
    FILE* pipe = popen(("'" + python_ + "' '" + script + "' '" + folder_->path().string() + "'").c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    std::string lines;
    for (char buffer[4096]; const size_t n = std::fread(buffer, 1, sizeof buffer, pipe);) lines.append(buffer, n);
    EXPECT_EQ(pclose(pipe), 0);
    std::istringstream stream(lines);
    for (std::string name, said; std::getline(stream, name, '\t') && std::getline(stream, said);) judge(name, said);
    EXPECT_TRUE(waiting_.empty()) << *waiting_.begin() << ": no word of it by ONNX Runtime";
    folder_.emplace();
  }

  fs::path file(const std::string& name) const { return *folder_ / (name + ".onnx"); }

  void report(const std::string& what) const {
    std::cout << what << ": " << agreed_ << " of " << count_ << " agree with ONNX Runtime\n";
    for (const auto& [kind, error] : worst_) std::cout << "  largest difference of " << kind << " ones: " << error << " of the scale\n";
    for (const std::string& miss : misses_) {
      std::cout << "  missed: " << miss << "\n";
      ADD_FAILURE() << miss;
    }
  }

  int count() const { return count_; }

 private:
  void write_case(const std::string& name, const fs::path& file, const Tensors& feeds, const Tensors& expected) {
    Graph graph;
    graph.opsets[""] = 13;
    for (const auto& [input, tensor] : feeds) graph.set_initializer(graph.add_value("feed/" + input), tensor);
    for (const auto& [output, tensor] : expected) {
      const ValueId v = graph.add_value("expected/" + output, Type::tensor(tensor.type(), tensor.dims()));
      graph.set_initializer(v, tensor);
      graph.outputs.push_back(v);
    }
    Model model = make_model(std::move(graph));
    model.doc_string = fs::absolute(file).string();
    save_model(model, *folder_ / (name + ".case.onnx"));
    waiting_.insert(name);
  }

  void judge(const std::string& name, const std::string& said) {
    waiting_.erase(name);
    char* end = nullptr;
    const double error = std::strtod(said.c_str(), &end);
    const Kind kind = kinds_.at(name);
    if (*end != '\0') return miss(name, said);
    worst_[kind.name] = std::max(worst_[kind.name], error);
    if (!(error <= kind.tolerance)) return miss(name, "differs by " + said + " of the output's scale");
    ++agreed_;
  }

  std::string python_;
  std::optional<TemporaryFolder> folder_{std::in_place};
  std::map<std::string, Kind> kinds_;
  std::set<std::string> waiting_;
  std::vector<std::string> misses_;
  int count_ = 0, agreed_ = 0;
  std::map<std::string, double> worst_;  ///< by kind
};

class ZooAgreement : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
    python_ = python_with("numpy onnx onnxruntime");
    if (python_.empty()) GTEST_SKIP() << "no Python with onnx and onnxruntime (tools/check installs it)";
  }

  std::string python_;
};

/// Trees and linear models of another domain are not run; they are saved as they came (round_trip_test.cpp compares the
/// messages of all files).
TEST_F(ZooAgreement, ModelsOfAnotherDomainPassIntact) {
  const TemporaryFolder folder;
  for (const std::string name : {"mecbar__GradientBoost", "redisai__iris_sklearn"}) {
    const Model model = load_model(shared_path("zoo/" + name + ".onnx"));
    const auto opaque = opaque_operators(model.graph);
    EXPECT_FALSE(opaque.contains("")) << name;
    EXPECT_TRUE(opaque.contains("ai.onnx.ml")) << name;
    save_model(model, folder / "saved.onnx");
    const std::string same = "import onnx, sys; sys.exit(onnx.load(sys.argv[1]) != onnx.load(sys.argv[2]))";
    const std::string files = " '" + shared_path("zoo/" + name + ".onnx").string() + "' '" + (folder / "saved.onnx").string() + "'";
    EXPECT_EQ(std::system(("'" + python_ + "' -c '" + same + "'" + files).c_str()), 0) << name;
  }
}

TEST_F(ZooAgreement, TopLevelModels) {
  Comparison comparison(python_);
  std::vector<fs::path> models = zoo_models("zoo");
  models.push_back(shared_path("zoo/zuramai__mnist_external_data/mnist.onnx"));
  for (const fs::path& file : models) {
    const std::string name = file.stem() == "mnist" ? "zuramai__mnist" : file.stem().string();
    const Graph graph = load_model(file).graph;
    if (opaque_operators(graph).contains("ai.onnx.ml")) continue;
    comparison.add(name, graph, file);
  }
  comparison.compare();
  comparison.report("top-level models and the one with external data");
  EXPECT_EQ(comparison.count(), 49);
}

/// In its second convolution an integer sum of 8831 stands for 78.50000004 steps: which of two steps it becomes is decided by
/// the last bit of the sum in float, once in every few inputs.
TEST_F(ZooAgreement, QuantizedModelOnManyInputs) {
  const fs::path file = shared_path("zoo/kassymm__tinynet_cifar10_int8_static.onnx");
  if (!exists(file)) GTEST_SKIP() << "no " << file.filename();
  Comparison comparison(python_);
  const Graph graph = load_model(file).graph;
  for (uint64_t seed = 3; seed < 11; ++seed) comparison.add("tinynet_" + std::to_string(seed), graph, file, seed);
  comparison.compare();
  comparison.report("a quantized model on eight inputs");
}

/// Random weights make a Softmax sure of one class, whatever the others got.
Graph before_softmax(Graph graph) {
  const NodeId last = graph.producer(graph.outputs.at(0));
  if (graph.node(last).op_type != "Softmax") return graph;
  const ValueId scores = graph.node(last).inputs[0];
  graph.value(scores).type = infer(graph).type(scores);
  graph.outputs = {scores};
  graph.erase_node(last);
  return graph;
}

TEST_F(ZooAgreement, LightModelsWithRandomWeights) {
  Comparison comparison(python_);
  for (const fs::path& file : zoo_models("zoo/light")) {
    const std::string name = file.stem().string();
    Model model = load_model(file);
    model.graph = before_softmax(with_random_weights(model.graph, 3));
    save_model(model, comparison.file(name));
    comparison.add(name, model.graph, comparison.file(name));
    comparison.compare();  // one by one: VGG-19 alone has 575 MB
  }
  comparison.report("light models");
  EXPECT_EQ(comparison.count(), 9);
}

}  // namespace
}  // namespace espalier::testing
