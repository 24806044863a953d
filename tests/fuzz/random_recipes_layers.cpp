// Layers: what has weights, windows, reductions and normalisation.
#include "tests/fuzz/random_graph.h"

namespace espalier::testing {
namespace {

/// An image [N, C, d...] with `spatial` axes.
ValueId image(GraphDraw& g, int spatial) { return g.of_rank(spatial + 2, spatial + 2); }

int spatial_axes(GraphDraw& g) { return g.chance(0.75) ? 2 : g.chance(0.7) ? 1 : 3; }

struct Window {
  std::vector<int64_t> kernel, strides, dilations, pads;

  std::vector<Attribute> attributes(GraphDraw& g, bool dilated) const {
    std::vector<Attribute> result = {attribute("kernel_shape", kernel)};
    if (g.chance(0.7)) result.push_back(attribute("strides", strides));
    if (dilated && g.chance(0.3)) result.push_back(attribute("dilations", dilations));
    if (g.chance(0.6)) result.push_back(attribute("pads", pads));
    return result;
  }
};

Window window(GraphDraw& g, ValueId x) {
  Window result;
  const int64_t spatial = g.rank(x) - 2;
  result.pads.resize(static_cast<size_t>(2 * spatial));
  for (int64_t i = 0; i < spatial; ++i) {
    const int64_t k = std::min(g.between(1, 3), g.dim(x, i + 2));
    result.kernel.push_back(k);
    result.strides.push_back(g.between(1, 2));
    result.dilations.push_back((k - 1) * 2 + 1 <= g.dim(x, i + 2) ? g.between(1, 2) : 1);
    result.pads[static_cast<size_t>(i)] = g.between(0, k - 1);
    result.pads[static_cast<size_t>(i + spatial)] = g.between(0, k - 1);
  }
  return result;
}

void conv(GraphDraw& g) {
  const ValueId x = image(g, spatial_axes(g));
  const int64_t channels = g.dim(x, 1);
  const Window w = window(g, x);
  int64_t group = 1;
  if (g.chance(0.4)) group = channels % 2 == 0 && g.chance(0.5) ? 2 : channels;
  Dims weight = {group * g.between(1, group == 1 ? 33 : 3), channels / group};
  weight.insert(weight.end(), w.kernel.begin(), w.kernel.end());
  std::vector<ValueId> inputs = {x, g.weight(weight)};
  if (g.chance(0.5)) inputs.push_back(g.weight({weight[0]}));
  auto attributes = w.attributes(g, true);
  attributes.push_back(attribute("group", group));
  g.add("Conv", inputs, attributes);
}

void conv_transpose(GraphDraw& g) {
  const ValueId x = image(g, g.chance(0.8) ? 2 : 1);
  const int64_t channels = g.dim(x, 1), spatial = g.rank(x) - 2;
  const int64_t group = channels % 2 == 0 && g.chance(0.3) ? 2 : 1;
  const Window w = window(g, x);
  Dims weight = {channels, g.between(1, 20)};
  weight.insert(weight.end(), w.kernel.begin(), w.kernel.end());
  std::vector<ValueId> inputs = {x, g.weight(weight)};
  if (g.chance(0.5)) inputs.push_back(g.weight({weight[1] * group}));
  std::vector<Attribute> attributes = {attribute("kernel_shape", w.kernel), attribute("group", group)};
  if (g.chance(0.6)) {
    attributes.push_back(attribute("strides", std::vector<int64_t>(static_cast<size_t>(spatial), 2)));
    if (g.chance(0.5)) attributes.push_back(attribute("output_padding", std::vector<int64_t>(static_cast<size_t>(spatial), 1)));
  }
  if (g.chance(0.3)) attributes.push_back(attribute("dilations", w.dilations));
  g.add("ConvTranspose", inputs, attributes);
}

void pool(GraphDraw& g, const char* op) {
  const ValueId x = image(g, spatial_axes(g));
  const bool max = std::string(op) == "MaxPool";
  auto attributes = window(g, x).attributes(g, max);
  if (g.chance(0.3)) attributes.push_back(attribute("ceil_mode", int64_t{1}));
  if (!max && g.chance(0.5)) attributes.push_back(attribute("count_include_pad", int64_t{1}));
  g.add(op, {x}, attributes, max);
}

void global_pool(GraphDraw& g, const char* op) { g.add(op, {image(g, spatial_axes(g))}, {}, std::string(op) == "GlobalMaxPool"); }

void batch_normalization(GraphDraw& g) {
  const ValueId x = g.of_rank(2, 5);
  const Dims c = {g.dim(x, 1)};
  g.add("BatchNormalization", {x, g.weight(c), g.weight(c), g.weight(c), g.weight(c, 0.3, 2)});
}

void gemm(GraphDraw& g) {
  const ValueId a = g.of_rank(2, 2);
  const int64_t trans_a = g.below(2), trans_b = g.below(2);
  const int64_t m = g.dim(a, trans_a), k = g.dim(a, 1 - trans_a), n = g.between(1, 40);
  const Dims b = trans_b ? Dims{n, k} : Dims{k, n};
  std::vector<ValueId> inputs = {a, g.chance(0.8) ? g.weight(b) : g.shaped(b)};
  if (g.chance(0.7)) inputs.push_back(g.weight(g.broadcastable({m, n})));
  g.add("Gemm", inputs, {attribute("transA", trans_a), attribute("transB", trans_b), attribute("alpha", static_cast<float>(g.uniform(0.5, 1.5)))});
}

void mat_mul(GraphDraw& g) {
  const ValueId a = g.of_rank(1, 4);
  const int64_t k = g.dim(a, g.rank(a) - 1);
  if (g.chance(0.5)) {
    g.add("MatMul", {a, g.weight({k, g.between(1, 40)})});
    return;
  }
  Dims b;
  if (g.rank(a) > 2) b = g.broadcastable(Dims(g.dims(a).begin(), g.dims(a).end() - 2));
  b.push_back(k);
  if (g.chance(0.85)) b.push_back(g.between(1, 12));
  else b = {k};
  g.add("MatMul", {a, g.shaped(b)});
}

void einsum(GraphDraw& g) {
  struct Form { const char* equation; int a; };
  const Form form = g.one_of<Form>({{"ij,jk->ik", 2}, {"bij,bkj->bik", 3}, {"bhid,bhjd->bhij", 4}, {"ij->ji", 2}, {"bij->bi", 3}});
  const ValueId a = g.of_rank(form.a, form.a);
  const std::string equation = form.equation;
  const Dims& d = g.dims(a);
  std::vector<ValueId> inputs = {a};
  if (equation == "ij,jk->ik") inputs.push_back(g.weight({d[1], g.between(1, 9)}));
  if (equation == "bij,bkj->bik") inputs.push_back(g.shaped({d[0], g.between(1, 5), d[2]}));
  if (equation == "bhid,bhjd->bhij") inputs.push_back(g.shaped({d[0], d[1], g.between(1, 5), d[3]}));
  g.add("Einsum", inputs, {attribute("equation", equation)});
}

void reduce(GraphDraw& g, const std::string& op, int axes_input_since) {
  const bool positive = op == "ReduceLogSum";
  const ValueId x = g.any({.least_rank = 1, .positive = positive, .largest = op == "ReduceProd" ? 2.0 : 20.0});
  std::vector<ValueId> inputs = {x};
  std::vector<Attribute> attributes = {attribute("keepdims", g.below(2))};
  if (g.chance(0.85)) g.add_axes(inputs, attributes, g.some_of(g.rank(x)), axes_input_since);
  g.add(op, inputs, attributes, op == "ReduceMax" || op == "ReduceMin");
}

void softmax(GraphDraw& g, const char* op) {
  const ValueId x = g.any({.least_rank = 1});
  g.add(op, {x}, {attribute("axis", g.between(-g.rank(x), g.rank(x) - 1))});
}

void layer_normalization(GraphDraw& g, const char* op) {
  const ValueId x = g.of_rank(1, 4);
  const int64_t axis = g.below(g.rank(x));
  const Dims scale(g.dims(x).begin() + axis, g.dims(x).end());
  std::vector<ValueId> inputs = {x, g.weight(scale)};
  const std::string name = op;
  if (name == "LayerNormalization" && g.chance(0.6)) inputs.push_back(g.weight(scale));
  g.add(op, inputs, {attribute("axis", axis), attribute("epsilon", 1e-3f)});
}

void instance_normalization(GraphDraw& g) {
  const ValueId x = image(g, spatial_axes(g));
  const Dims c = {g.dim(x, 1)};
  g.add("InstanceNormalization", {x, g.weight(c), g.weight(c)}, {attribute("epsilon", 1e-2f)});
}

void group_normalization(GraphDraw& g) {
  const int64_t groups = g.between(1, 4);
  const ValueId x = g.shaped({g.between(1, 2), groups * g.between(1, 4), g.between(1, 5), g.between(2, 5)});
  const Dims c = {g.opset() < 21 ? groups : g.dim(x, 1)};
  g.add("GroupNormalization", {x, g.weight(c), g.weight(c)}, {attribute("num_groups", groups), attribute("epsilon", 1e-2f)});
}

void lrn(GraphDraw& g) {
  const ValueId x = image(g, 2);
  g.add("LRN", {x}, {attribute("size", g.one_of<int64_t>({1, 3, 5})), attribute("alpha", 0.1f)});
}

void lp_normalization(GraphDraw& g) {
  const ValueId x = g.any({.least_rank = 1, .positive = true});
  g.add("LpNormalization", {x}, {attribute("axis", g.below(g.rank(x))), attribute("p", g.between(1, 2))});
}

/// Whether a channel of x [N, C, H, W] varies by less than a hundredth of its size: ONNX Runtime takes the root of
/// E[x^2] - E[x]^2, which rounding brings below zero there, and what is divided by next to nothing is rounding itself.
bool has_flat_channel(const Tensor& x) {
  const auto values = x.to_doubles();
  const int64_t channels = x.dims()[1], plane = x.dims()[2] * x.dims()[3];
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    int64_t count = 0;
    for (int64_t n = 0; n < x.dims()[0]; ++n) {
      for (int64_t i = 0; i < plane; ++i, ++count) {
        const double v = values[static_cast<size_t>((n * channels + c) * plane + i)];
        sum += v, squares += v * v;
      }
    }
    const double size = squares / static_cast<double>(count), mean = sum / static_cast<double>(count);
    if (size - mean * mean <= 1e-4 * size) return true;
  }
  return false;
}

void mean_variance_normalization(GraphDraw& g) {
  const ValueId x = image(g, 2);
  if (has_flat_channel(g.tensor(x))) throw GraphDraw::Skip();
  g.add("MeanVarianceNormalization", {x});
}

/// The scales are powers of two, so that every path finds the same neighbours.
void resize(GraphDraw& g) {
  const ValueId x = image(g, 2);
  std::vector<double> scales = {1, 1, g.one_of<double>({0.5, 1, 2}), g.one_of<double>({0.5, 1, 2})};
  for (size_t i = 2; i < 4; ++i) {
    if (g.dim(x, static_cast<int64_t>(i)) % 2 == 1 && scales[i] < 1) scales[i] = 1;
  }
  const ValueId constant = g.constant(Tensor::of<double>({4}, scales).cast(DataType::float32));
  const auto mode = g.one_of<std::string>({"nearest", "linear", "cubic"});
  const auto transformation = g.one_of<std::string>({"half_pixel", "asymmetric", "align_corners"});
  std::vector<Attribute> attributes = {attribute("mode", mode), attribute("coordinate_transformation_mode", mode == "nearest" ? "asymmetric" : transformation)};
  if (mode == "nearest") attributes.push_back(attribute("nearest_mode", std::string("floor")));
  g.add("Resize", {x, kNone, constant}, attributes);
}

void grid_sample(GraphDraw& g) {
  const ValueId x = image(g, 2);
  const ValueId grid = g.input(g.float_type(), {g.dim(x, 0), g.between(1, 4), g.between(1, 4), 2}, -0.9, 0.9);
  const std::string linear = g.opset() < 20 ? "bilinear" : "linear";
  g.add("GridSample", {x, grid}, {attribute("mode", linear), attribute("padding_mode", g.one_of<std::string>({"zeros", "border", "reflection"})),
                                  attribute("align_corners", g.below(2))});
}

/// Gates of X [T, N, I]; `gates` a hidden unit.
void recurrent(GraphDraw& g, const std::string& op, int64_t gates) {
  const ValueId x = g.of_rank(3, 3);
  const auto direction = g.one_of<std::string>({"forward", "reverse", "bidirectional"});
  const int64_t d = direction == "bidirectional" ? 2 : 1, h = g.between(1, 12), i = g.dim(x, 2);
  std::vector<ValueId> inputs = {x, g.weight({d, gates * h, i}), g.weight({d, gates * h, h})};
  if (g.chance(0.7)) inputs.push_back(g.weight({d, 2 * gates * h}));
  std::vector<Attribute> attributes = {attribute("hidden_size", h), attribute("direction", direction)};
  if (op == "GRU" && g.chance(0.5)) attributes.push_back(attribute("linear_before_reset", int64_t{1}));
  g.add_many(op, inputs, op == "LSTM" ? 3 : 2, attributes);
}

}  // namespace

std::vector<Recipe> weighted_recipes() {
  return {{"Conv", conv}, {"Conv", conv}, {"ConvTranspose", conv_transpose}, {"Gemm", gemm}, {"MatMul", mat_mul},
          {"BatchNormalization", batch_normalization},
          {"LSTM", [](GraphDraw& g) { recurrent(g, "LSTM", 4); }}, {"GRU", [](GraphDraw& g) { recurrent(g, "GRU", 3); }},
          {"RNN", [](GraphDraw& g) { recurrent(g, "RNN", 1); }}};
}

std::vector<Recipe> layer_recipes() {
  std::vector<Recipe> result = {
      {"Einsum", einsum},
      {"InstanceNormalization", instance_normalization}, {"GroupNormalization", group_normalization, 18}, {"LRN", lrn},
      {"LpNormalization", lp_normalization}, {"MeanVarianceNormalization", mean_variance_normalization}, {"Resize", resize},
      {"GridSample", grid_sample, 16}};
  for (const char* op : {"MaxPool", "AveragePool"}) result.push_back({op, [op](GraphDraw& g) { pool(g, op); }});
  for (const char* op : {"GlobalMaxPool", "GlobalAveragePool"}) result.push_back({op, [op](GraphDraw& g) { global_pool(g, op); }});
  for (const char* op : {"Softmax", "LogSoftmax"}) result.push_back({op, [op](GraphDraw& g) { softmax(g, op); }});
  for (const char* op : {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp",
                         "ReduceSumSquare"}) {
    result.push_back({op, [op](GraphDraw& g) { reduce(g, op, 18); }});
  }
  result.push_back({"ReduceSum", [](GraphDraw& g) { reduce(g, "ReduceSum", 13); }});
  result.push_back({"LayerNormalization", [](GraphDraw& g) { layer_normalization(g, "LayerNormalization"); }, 17});
  return result;
}

}  // namespace espalier::testing
