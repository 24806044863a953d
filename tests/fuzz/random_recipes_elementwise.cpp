// Elementwise ops, comparisons, logic and casts.
#include "tests/fuzz/random_graph.h"

namespace espalier::testing {
namespace {

/// Functions that are smooth where `low` < |x| < `high`; what lies outside comes in through a squashing op.
struct Unary {
  const char* op;
  double largest = 20;
  bool positive = false;
  int since = 1;
};

constexpr Unary kUnaries[] = {
    {"Abs"}, {"Neg"}, {"Relu"}, {"LeakyRelu"}, {"Sigmoid"}, {"Tanh"}, {"Erf"}, {"Exp", 4}, {"Log", 20, true}, {"Sqrt", 20, true},
    {"Reciprocal", 20, true}, {"Sin"}, {"Cos"}, {"Tan", 1}, {"Sinh", 4}, {"Cosh", 4}, {"Asin", 0.9}, {"Acos", 0.9}, {"Atan"},
    {"Asinh"}, {"Atanh", 0.9}, {"Softplus"}, {"Softsign"}, {"Elu"}, {"Selu"}, {"Celu"}, {"HardSigmoid"}, {"HardSwish", 20, false, 14},
    {"Mish", 20, false, 18}, {"ThresholdedRelu", 20}, {"Gelu", 20, false, 20}, {"Identity"}, {"Shrink"}};

/// Ops that jump: only what is free of rounding may go in.
constexpr const char* kSteps[] = {"Ceil", "Floor", "Round", "Sign"};

Recipe unary(const Unary& u) {
  return {u.op, [u](GraphDraw& g) {
            GraphDraw::Want want{.positive = u.positive, .largest = u.largest};
            const std::string op = u.op;
            if (op == "Celu" && g.float_type() != DataType::float32) throw GraphDraw::Skip();
            want.exact = op == "ThresholdedRelu" || op == "Shrink";  // they jump
            std::vector<Attribute> attributes;
            if ((op == "LeakyRelu" || op == "Elu" || op == "Celu" || op == "ThresholdedRelu") && g.chance(0.5)) {
              attributes.push_back(attribute("alpha", static_cast<float>(g.uniform(0.1, 1.5))));
            }
            if (op == "Gelu" && g.chance(0.5)) attributes.push_back(attribute("approximate", std::string("tanh")));
            const bool exact = op == "Abs" || op == "Neg" || op == "Relu" || op == "Identity";
            g.add(op, {g.any(want)}, std::move(attributes), exact);
          }, u.since};
}

Recipe step(const char* op) {
  return {op, [op](GraphDraw& g) { g.add(op, {g.any({.exact = true})}, {}, true); }};
}

Recipe binary(const char* op) {
  return {op, [op = std::string(op)](GraphDraw& g) {
            ValueId a = g.any();
            const Dims dims = g.broadcastable(g.dims(a));
            ValueId b = g.chance(0.5) ? g.weight(dims, 0.3, 1.5) : op == "Div" ? g.input(g.float_type(), dims, 0.5, 2) : g.shaped(dims);
            if (op != "Div" && g.chance(0.3)) std::swap(a, b);
            g.add(op, {a, b});
          }};
}

Recipe integer_binary(const char* op) {
  return {op, [op](GraphDraw& g) {
            const DataType type = g.one_of<DataType>({DataType::int64, DataType::int32});
            const ValueId a = g.any({.type = type});
            g.add(op, {a, g.shaped(g.broadcastable(g.dims(a)), type)}, {}, true);
          }};
}

Recipe comparison(const char* op, int since = 1) {
  return {op, [op](GraphDraw& g) {
            const bool ints = g.chance(0.4);
            const DataType type = ints ? DataType::int64 : g.float_type();
            const ValueId a = g.any({.exact = true, .type = type});
            g.add(op, {a, g.shaped(g.broadcastable(g.dims(a)), type, true)}, {}, true);
          }, since};
}

Recipe logic(const char* op) {
  return {op, [op](GraphDraw& g) {
            const ValueId a = g.any({.type = DataType::boolean});
            g.add(op, {a, g.shaped(g.broadcastable(g.dims(a)), DataType::boolean)}, {}, true);
          }};
}

Recipe variadic(const char* op) {
  return {op, [op = std::string(op)](GraphDraw& g) {
            std::vector<ValueId> operands = {g.any()};
            for (int64_t more = g.between(0, 2); more > 0; --more) operands.push_back(g.shaped(g.broadcastable(g.dims(operands[0]))));
            g.add(op, operands, {}, op == "Max" || op == "Min");
          }};
}

void cast(GraphDraw& g) {
  const bool to_integer = g.chance(0.3);
  const ValueId x = g.any({.exact = to_integer, .type = g.chance(0.3) ? DataType::int64 : DataType::undefined});
  const DataType to = to_integer ? g.one_of<DataType>({DataType::int32, DataType::int64, DataType::boolean})
                                 : g.one_of<DataType>({DataType::float32, DataType::float64});
  g.add("Cast", {x}, {attribute("to", static_cast<int64_t>(to))}, true);
}

void clip(GraphDraw& g) {
  const ValueId x = g.any();
  std::vector<ValueId> inputs = {x};
  if (g.chance(0.8)) inputs.push_back(g.scalar(g.uniform(-1.5, 0)));
  if (g.chance(0.8)) inputs.resize(2, kNone), inputs.push_back(g.scalar(g.uniform(0.1, 6)));
  g.add("Clip", inputs, {}, true);
}

void pow(GraphDraw& g) {
  if (g.chance(0.5)) {
    g.add("Pow", {g.any({.largest = 5}), g.scalar(static_cast<double>(g.between(1, 3)))});
  } else {
    const ValueId x = g.any({.positive = true, .largest = 5});
    g.add("Pow", {x, g.weight(g.broadcastable(g.dims(x)), -2, 2)});
  }
}

void prelu(GraphDraw& g) {
  const ValueId x = g.any({.least_rank = 1});
  Dims slope = g.dims(x);
  for (size_t i = 0; i < slope.size(); ++i) {
    if (i != 1 || g.chance(0.3)) slope[i] = 1;
  }
  if (g.chance(0.5) && slope.size() > 1) slope.erase(slope.begin());
  g.add("PRelu", {x, g.weight(slope, 0.05, 0.5)});
}

void where(GraphDraw& g) {
  const ValueId x = g.any();
  const ValueId condition = g.shaped(g.broadcastable(g.dims(x)), DataType::boolean);
  g.add("Where", {condition, x, g.shaped(g.broadcastable(g.dims(x)))}, {}, true);
}

void mod(GraphDraw& g) {
  const ValueId a = g.any({.type = DataType::int64});
  g.add("Mod", {a, g.constant(Tensor::scalar<int64_t>(g.between(2, 7)))}, {}, true);
}

void logical_not(GraphDraw& g) { g.add("Not", {g.any({.type = DataType::boolean})}, {}, true); }

void dropout(GraphDraw& g) { g.add("Dropout", {g.any()}, {}, true); }

}  // namespace

std::vector<Recipe> elementwise_recipes() {
  std::vector<Recipe> result;
  for (const Unary& u : kUnaries) result.push_back(unary(u));
  for (const char* op : kSteps) result.push_back(step(op));
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Add", "Mul"}) result.push_back(binary(op));
  for (const char* op : {"Add", "Sub", "Mul"}) result.push_back(integer_binary(op));
  for (const char* op : {"Equal", "Greater", "Less"}) result.push_back(comparison(op));
  for (const char* op : {"GreaterOrEqual", "LessOrEqual"}) result.push_back(comparison(op, 16));
  for (const char* op : {"And", "Or", "Xor"}) result.push_back(logic(op));
  for (const char* op : {"Sum", "Mean", "Max", "Min"}) result.push_back(variadic(op));
  result.insert(result.end(), {{"Cast", cast}, {"Clip", clip}, {"Pow", pow}, {"PRelu", prelu, 16}, {"Where", where}, {"Mod", mod},
                               {"Not", logical_not}, {"Dropout", dropout}});
  return result;
}

}  // namespace espalier::testing
