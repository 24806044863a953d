#include "tests/lib/analysis/unit_models.h"

#include "lib/graph/text.h"

namespace espalier::testing {
namespace {

std::string list(const std::vector<int64_t>& values) {
  std::string text;
  for (const int64_t v : values) text += (text.empty() ? "" : ",") + std::to_string(v);
  return text;
}

Graph shuffle_net() {
  TextModel m("x: float[1,3,8,8]");
  std::string x = m.relu(m.conv("x", 3, 116));
  for (int unit = 0; unit < 4; ++unit) {
    const auto halves = m.ops("Split", {x, m.ints({58, 58})}, 2, "axis = 1");
    std::string r = m.relu(m.conv(halves[1], 58, 58, 1));
    r = m.batch_norm(m.conv(r, 58, 58, 3, 58), 58);
    r = m.relu(m.conv(r, 58, 58, 1));
    x = m.reshape(m.op("Concat", {halves[0], r}, "axis = 1"), {1, 2, 58, 8, 8});
    x = m.reshape(m.transpose(x, {0, 2, 1, 3, 4}), {1, 116, 8, 8});
  }
  return m.graph(m.linear(m.op("Flatten", {m.op("GlobalAveragePool", {x})}), 116, 10));
}

Graph res_next() {
  TextModel m("x: float[1,3,8,8]");
  const std::string x = m.relu(m.conv("x", 3, 32));
  std::string y = m.relu(m.conv(x, 32, 64, 1));
  y = m.relu(m.batch_norm(m.conv(y, 64, 64, 3, 4), 64));
  y = m.relu(m.op("Add", {x, m.conv(y, 64, 32, 1)}));
  return m.graph(m.linear(m.op("Flatten", {y}), 32 * 64, 10));
}

Graph fused_qkv() {
  TextModel m("x: float[2,10,24]");
  std::string x = m.linear("x", 24, 48);
  for (int block = 0; block < 2; ++block) {
    std::string q = m.reshape(m.linear(m.layer_norm(x, 48), 48, 144), {2, 10, 3, 4, 12});
    const auto parts = m.ops("Split", {m.transpose(q, {2, 0, 3, 1, 4})}, 3, "axis = 0");
    std::vector<std::string> qkv;
    for (const std::string& part : parts) qkv.push_back(m.op("Squeeze", {part, m.ints({0})}));
    const std::string scores = m.op("MatMul", {qkv[0], m.transpose(qkv[1], {0, 1, 3, 2})});
    const std::string p = m.op("Softmax", {m.op("Mul", {scores, m.constant("float[] = 0.29")})}, "axis = -1");
    const std::string o = m.reshape(m.transpose(m.op("MatMul", {p, qkv[2]}), {0, 2, 1, 3}), {2, 10, 48});
    x = m.op("Add", {x, m.linear(o, 48, 48)});
    x = m.op("Add", {x, m.linear(m.relu(m.linear(m.layer_norm(x, 48), 48, 96)), 96, 48)});
  }
  return m.graph(m.linear(x, 48, 5));
}

Graph many_heads() {
  TextModel m("x: float[2,10,24]");
  std::string x = m.linear("x", 24, 32);
  const auto heads = [&] { return m.reshape(m.linear(x, 32, 32), {2, 10, 8, 4}); };
  const std::string q = m.transpose(heads(), {0, 2, 1, 3}), k = m.transpose(heads(), {0, 2, 3, 1}), v = m.transpose(heads(), {0, 2, 1, 3});
  const std::string p = m.op("Softmax", {m.op("MatMul", {q, k})}, "axis = -1");
  const std::string o = m.reshape(m.transpose(m.op("MatMul", {p, v}), {0, 2, 1, 3}), {2, 10, 32});
  x = m.op("Add", {x, m.linear(o, 32, 32)});
  return m.graph(m.linear(x, 32, 5));
}

/// Keys and values of two heads, each repeated for three queries as exporters write it: Unsqueeze, Expand, Reshape.
Graph grouped_queries() {
  TextModel m("x: float[2,10,24]");
  std::string x = m.linear("x", 24, 32);
  const auto heads = [&](int64_t n) { return m.transpose(m.reshape(m.linear(x, 32, n * 8), {2, 10, n, 8}), {0, 2, 1, 3}); };
  const auto repeated = [&](const std::string& t) {
    return m.reshape(m.op("Expand", {m.op("Unsqueeze", {t, m.ints({2})}), m.ints({2, 2, 3, 10, 8})}), {2, 6, 10, 8});
  };
  const std::string q = heads(6), k = repeated(heads(2)), v = repeated(heads(2));
  const std::string p = m.op("Softmax", {m.op("MatMul", {q, m.transpose(k, {0, 1, 3, 2})})}, "axis = -1");
  const std::string o = m.reshape(m.transpose(m.op("MatMul", {p, v}), {0, 2, 1, 3}), {2, 10, 48});
  x = m.op("Add", {x, m.linear(o, 48, 32)});
  return m.graph(m.linear(x, 32, 5));
}

/// As TensorFlow's exporter writes images: convolutions between Transposes, the rest with channels last.
Graph nhwc() {
  TextModel m("x: float[2,8,8,3]");
  const auto conv = [&](const std::string& x, int64_t in, int64_t out, int64_t group = 1) {
    const std::string y = m.op("Conv", {m.transpose(x, {0, 3, 1, 2}), m.weight({out, in / group, 3, 3})}, "pads = [1,1,1,1], group = " + std::to_string(group));
    return m.op("Add", {m.transpose(y, {0, 2, 3, 1}), m.small({out})});
  };
  const std::string x = m.relu(conv("x", 3, 24));
  std::string y = m.relu(conv(conv(x, 24, 24, 24), 24, 40));
  y = m.op("Add", {x, conv(y, 40, 24)});
  y = m.op("Concat", {y, m.op("Mul", {x, m.small({24})})}, "axis = 3");
  const std::string s = m.linear(m.relu(m.linear(m.op("ReduceMean", {y}, "axes = [1,2]"), 48, 6)), 6, 48);
  y = m.op("Mul", {y, m.op("Sigmoid", {s})});
  y = m.op("Pad", {y, m.ints({0, 0, 0, 0, 0, 0, 0, 8})});
  y = m.transpose(m.op("MaxPool", {m.transpose(y, {0, 3, 1, 2})}, "kernel_shape = [2,2], strides = [2,2]"), {0, 2, 3, 1});
  return m.graph(m.linear(m.reshape(y, {2, 4 * 4 * 56}), 4 * 4 * 56, 5));
}

Graph head_loop() {
  TextModel m("x: float[2,10,24]");
  std::string x = m.linear("x", 24, 32);
  const std::string q = m.linear(x, 32, 32), k = m.linear(x, 32, 32), v = m.linear(x, 32, 32);
  std::vector<std::string> heads;
  for (int64_t i = 0; i < 4; ++i) {
    const auto slice = [&](const std::string& t) { return m.op("Slice", {t, m.ints({i * 8}), m.ints({i * 8 + 8}), m.ints({2})}); };
    const std::string scores = m.op("MatMul", {slice(q), m.transpose(slice(k), {0, 2, 1})});
    heads.push_back(m.op("MatMul", {m.op("Softmax", {scores}, "axis = -1"), slice(v)}));
  }
  x = m.op("Add", {x, m.linear(m.op("Concat", heads, "axis = 2"), 32, 32)});
  return m.graph(m.linear(x, 32, 5));
}

Graph linear_attention() {
  TextModel m("x: float[2,10,24]");
  const auto heads = [&] {
    return m.reshape(m.transpose(m.reshape(m.linear("x", 24, 32), {2, 10, 4, 8}), {0, 2, 1, 3}), {8, 10, 8});
  };
  const std::string q = heads(), k = heads(), v = heads();
  const std::string kv = m.op("MatMul", {m.transpose(m.relu(k), {0, 2, 1}), v});
  const std::string o = m.reshape(m.op("MatMul", {m.relu(q), kv}), {2, 4, 10, 8});
  return m.graph(m.linear(m.reshape(m.transpose(o, {0, 2, 1, 3}), {2, 10, 32}), 32, 5));
}

Graph pixel_shuffle() {
  TextModel m("x: float[1,3,8,8]");
  std::string x = m.reshape(m.relu(m.conv("x", 3, 64)), {1, 16, 2, 2, 8, 8});
  x = m.relu(m.conv(m.reshape(m.transpose(x, {0, 1, 4, 2, 5, 3}), {1, 16, 16, 16}), 16, 16));
  x = m.transpose(m.reshape(x, {1, 16, 8, 2, 8, 2}), {0, 1, 3, 5, 2, 4});
  return m.graph(m.conv(m.reshape(x, {1, 64, 8, 8}), 64, 4, 1));
}

Graph swin_pad_se() {
  TextModel m("x: float[1,3,8,8]");
  std::string x = m.relu(m.conv("x", 3, 16));
  const std::string y = m.conv(m.relu(m.conv(x, 16, 32)), 32, 32);
  x = m.relu(m.op("Add", {m.op("Pad", {x, m.ints({0, 8, 0, 0, 0, 8, 0, 0})}), y}));
  std::string s = m.relu(m.conv(m.op("GlobalAveragePool", {x}), 32, 8, 1));
  x = m.op("Mul", {x, m.op("Sigmoid", {m.conv(s, 8, 32, 1)})});
  x = m.reshape(m.transpose(x, {0, 2, 3, 1}), {1, 2, 4, 2, 4, 32});
  x = m.relu(m.linear(m.reshape(m.transpose(x, {0, 1, 3, 2, 4, 5}), {4, 16, 32}), 32, 24));
  x = m.reshape(m.reshape(x, {4, 16, 6, 4}), {4, 16, 8, 3});
  return m.graph(m.linear(m.reshape(m.relu(x), {4, 16, 24}), 24, 5));
}

Graph reshape_6x4_8x3() {
  TextModel m("x: float[2,10]");
  std::string x = m.reshape(m.relu(m.linear("x", 10, 24)), {2, 6, 4});
  x = m.reshape(m.op("Add", {x, m.weight({6, 4}, 1)}), {2, 8, 3});
  x = m.reshape(m.relu(m.linear(x, 3, 7)), {2, 56});
  return m.graph(m.linear(x, 56, 5));
}

Graph bi_rnn() {
  TextModel m("x: float[7,3,12]");
  std::string x = m.linear("x", 12, 20);
  int64_t inputs = 20;
  for (const std::string op : {"GRU", "LSTM"}) {
    const int64_t gates = op == "GRU" ? 3 : 4;
    const std::vector<std::string> weights = {x, m.weight({2, gates * 16, inputs}), m.weight({2, gates * 16, 16}), m.small({2, 2 * gates * 16})};
    const std::string y = m.op(op, weights, std::string("hidden_size = 16, direction = \"bidirectional\"") + (op == "GRU" ? ", linear_before_reset = 1" : ""));
    x = m.reshape(m.transpose(y, {0, 2, 1, 3}), {7, 3, 32});
    inputs = 32;
  }
  return m.graph(m.linear(x, 32, 5));
}

Graph tied() {
  TextModel m("x: float[2,50]");
  const std::string embedding = m.weight({50, 16}, 8), w = m.weight({16, 16}, 16);
  const std::string x = m.op("MatMul", {"x", embedding});
  const std::string a = m.relu(m.op("MatMul", {x, w})), c = m.relu(m.op("MatMul", {a, w}));
  return m.graph(m.op("MatMul", {m.op("Add", {x, c}), m.transpose(embedding, {1, 0})}));
}

Graph gate() {
  TextModel m("x: float[1,3,8,8]");
  std::string x = m.relu(m.conv("x", 3, 16));
  const std::string g = m.op("Softmax", {m.conv(m.op("GlobalAveragePool", {x}), 16, 16, 1)}, "axis = 1");
  x = m.op("Flatten", {m.relu(m.conv(m.op("Mul", {x, g}), 16, 12))});
  return m.graph(m.linear(x, 12 * 64, 5));
}

/// The outputs of two convolutions joined after Flatten: as many positions as a feature map has.
Graph flattened(int64_t size) {
  const std::string n = std::to_string(size);
  TextModel m("x: float[1,3," + n + "," + n + "]");
  const std::string x = m.relu(m.conv("x", 3, 64)), y = m.relu(m.conv(x, 64, 64));
  return m.graph(m.linear(m.op("Add", {m.op("Flatten", {x}), m.op("Flatten", {y})}), 64 * size * size, 2));
}

Graph residual_blocks(int count) {
  TextModel m("x: float[1,3,2,2]");
  std::string x = m.relu(m.conv("x", 3, 64, 1));
  const std::string share = m.constant("float[] = 0.02");
  for (int i = 0; i < count; ++i) x = m.op("Add", {x, m.conv(m.relu(m.op("Mul", {m.conv(x, 64, 64, 1), share})), 64, 64, 1)});
  return m.graph(m.conv(x, 64, 4, 1));
}

}  // namespace

Graph million_positions() { return flattened(128); }
Graph ten_thousand_nodes() { return residual_blocks(2500); }

std::string TextModel::constant(const std::string& type_and_elements) {
  const std::string v = name();
  body_ += "  " + v + ": " + type_and_elements + "\n";
  return v;
}

std::string TextModel::weight(const std::vector<int64_t>& dims, int64_t fan) {
  const std::string seed = std::to_string(count_ + 1) + (fan > 0 ? ", " + std::to_string(fan) : "");
  return constant("float[" + list(dims) + "] = fill(" + seed + ")");
}

std::string TextModel::small(const std::vector<int64_t>& dims) {
  return constant("float[" + list(dims) + "] = uniform(" + std::to_string(count_ + 1) + ", -0.1, 0.1)");
}

std::string TextModel::ints(const std::vector<int64_t>& values) {
  return constant("int64[" + std::to_string(values.size()) + "] = {" + list(values) + "}");
}

std::string TextModel::op(const std::string& type, const std::vector<std::string>& inputs, const std::string& attributes) {
  return ops(type, inputs, 1, attributes)[0];
}

std::vector<std::string> TextModel::ops(const std::string& type, const std::vector<std::string>& inputs, int outputs,
                                        const std::string& attributes) {
  std::vector<std::string> made;
  std::string outs, ins;
  for (int i = 0; i < outputs; ++i) {
    made.push_back(name());
    outs += (i ? ", " : "") + made.back();
  }
  for (const std::string& input : inputs) ins += (ins.empty() ? "" : ", ") + input;
  body_ += "  \"n" + std::to_string(count_) + "\": " + outs + " = " + type + "(" + ins + ")" +
           (attributes.empty() ? "" : " {" + attributes + "}") + "\n";
  return made;
}

std::string TextModel::conv(const std::string& x, int64_t in, int64_t out, int64_t kernel, int64_t group) {
  const std::string p = std::to_string(kernel / 2), k = std::to_string(kernel);
  return op("Conv", {x, weight({out, in / group, kernel, kernel}), small({out})},
            "kernel_shape = [" + k + "," + k + "], pads = [" + p + "," + p + "," + p + "," + p + "], group = " + std::to_string(group));
}

std::string TextModel::batch_norm(const std::string& x, int64_t channels) {
  const auto positive = [&] {
    return constant("float[" + std::to_string(channels) + "] = uniform(" + std::to_string(count_ + 1) + ", 0.7, 1.4)");
  };
  const std::string scale = positive(), bias = small({channels}), mean = small({channels});
  return op("BatchNormalization", {x, scale, bias, mean, positive()});
}

std::string TextModel::linear(const std::string& x, int64_t in, int64_t out) {
  return op("Add", {op("MatMul", {x, weight({in, out}, in)}), small({out})});
}

std::string TextModel::transpose(const std::string& x, const std::vector<int64_t>& perm) {
  return op("Transpose", {x}, "perm = [" + list(perm) + "]");
}

std::string TextModel::layer_norm(const std::string& x, int64_t d) {
  const std::string centred = op("Sub", {x, op("ReduceMean", {x}, "axes = [-1]")});
  const std::string variance = op("ReduceMean", {op("Mul", {centred, centred})}, "axes = [-1]");
  const std::string deviation = op("Sqrt", {op("Add", {variance, constant("float[] = 1e-5")})});
  return op("Add", {op("Mul", {op("Div", {centred, deviation}), weight({d}, 2)}), small({d})});
}

Graph TextModel::graph(const std::string& output) const {
  return parse_graph("graph g (" + input_ + ") -> (" + output + ") opset " + std::to_string(opset_) + " {\n" + body_ + "}\n");
}

std::vector<UnitModel> unit_models() {
  return {
      {"shufflenetv2", shuffle_net(), 5, 6, 580, "10 graph output"},
      {"resnext", res_next(), 3, 4, 160, "10 graph output"},
      {"fused_qkv", fused_qkv(), 5, 6, 432, "5 graph output"},
      {"many_heads", many_heads(), 3, 4, 96, "5 graph output"},
      {"grouped_queries", grouped_queries(), 3, 4, 64, "5 graph output"},
      {"nhwc", nhwc(), 3, 4, 78, "5 graph output"},
      {"head_loop", head_loop(), 3, 4, 96, "5 graph output"},
      {"linear_attention", linear_attention(), 2, 3, 64, "5 graph output"},
      {"pixel_shuffle", pixel_shuffle(), 2, 3, 32, "4 graph output"},
      {"swin_pad_se", swin_pad_se(), 4, 5, 96, "5 graph output"},
      {"reshape_6x4_8x3", reshape_6x4_8x3(), 1, 3, 8, "7 two prunable axes merged into one, 5 graph output"},
      {"tied", tied(), 2, 3, 32, "50 graph output"},
      {"birnn", bi_rnn(), 3, 4, 84, "5 graph output"},
      {"million at 16 x 16", flattened(16), 1, 2, 64, "2 graph output"},
      {"nodes10k at 25 blocks", residual_blocks(25), 26, 27, 1664, "4 graph output"},
      {"gate", gate(), 1, 3, 12, "16 Softmax over it, 5 graph output"},
  };
}

}  // namespace espalier::testing
