#include <algorithm>
#include <map>

#include "lib/kernels/contract.h"
#include "lib/kernels/matrix.h"
#include "lib/ops/cost.h"
#include "lib/ops/einsum_equation.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/lower.h"
#include "lib/ops/unit_rules_fused.h"
#include "lib/ops/matmul_loop.h"

namespace espalier::ops {
namespace {

/// Size of each label; size-1 axes repeat.
std::map<Label, Dim> label_sizes(const InferContext& c, const Equation& equation) {
  std::map<Label, Dim> sizes;
  for (size_t i = 0; i < equation.inputs.size(); ++i) {
    for (size_t axis = 0; axis < equation.inputs[i].size(); ++axis) {
      const auto [entry, added] = sizes.emplace(equation.inputs[i][axis], c.dims(i)[axis]);
      if (!added) entry->second = broadcast(c, {entry->second}, {c.dims(i)[axis]})[0];
    }
  }
  return sizes;
}

std::optional<Equation> equation_of(const InferContext& c) {
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.has_rank(i)) return std::nullopt;
    ranks.push_back(c.rank(i));
  }
  return read_equation(c.node(), ranks);
}

void infer(InferContext& c) {
  c.require_inputs(1, SIZE_MAX);
  for (size_t i = 0; i < c.input_count(); ++i) {
    require_type(c, i, is_numeric, "a numeric type");
    require_same_type(c, 0, i);
  }
  const auto equation = equation_of(c);
  if (!equation) return c.set(0, Type::tensor(c.elem_type(0)));
  const auto sizes = label_sizes(c, *equation);
  SymbolicDims dims;
  for (const Label label : equation->output) dims.push_back(sizes.at(label));
  c.set(0, c.elem_type(0), std::move(dims));
}

/// Strides by which each label steps through an operand.
Dims label_strides(const std::vector<Label>& labels, const Dims& dims, const std::vector<Label>& order) {
  const Dims own = row_major_strides(dims);
  Dims strides(order.size(), 0);
  for (size_t axis = 0; axis < labels.size(); ++axis) {
    const auto at = std::find(order.begin(), order.end(), labels[axis]) - order.begin();
    if (dims[axis] != 1) strides[static_cast<size_t>(at)] += own[axis];  // a label twice in a term walks its diagonal
  }
  return strides;
}

/// For each output position the sum, over all other labels, of the products of the operands.
void evaluate(EvaluateContext& c) {
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < c.input_count(); ++i) ranks.push_back(c.input(i).rank());
  const Equation equation = read_equation(c.node(), ranks);
  std::vector<Label> order = equation.output;
  std::map<Label, int64_t> sizes;
  for (size_t i = 0; i < c.input_count(); ++i) {
    for (size_t axis = 0; axis < equation.inputs[i].size(); ++axis) {
      const Label label = equation.inputs[i][axis];
      if (std::find(order.begin(), order.end(), label) == order.end()) order.push_back(label);
      const int64_t size = c.input(i).dims()[axis];
      const auto [entry, added] = sizes.emplace(label, size);
      if (!added && entry->second == 1) entry->second = size;
    }
  }
  Dims all, out;
  for (const Label label : order) all.push_back(sizes[label]);
  out.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(equation.output.size()));
  const int64_t inner = element_count(Dims(all.begin() + static_cast<std::ptrdiff_t>(out.size()), all.end()));
  const Dims positions = row_major_strides(all);
  dispatch_number(c.input(0).type(), [&]<class T>() {
    Tensor y(c.input(0).type(), out);
    const auto to = y.mutable_data<T>();
    std::vector<std::span<const T>> data;
    std::vector<Dims> strides;
    for (size_t i = 0; i < c.input_count(); ++i) {
      data.push_back(c.input(i).data<T>());
      strides.push_back(label_strides(equation.inputs[i], c.input(i).dims(), order));
    }
    parallel_for(y.size(), 1 + 4096 / (inner + 1), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        Sum<T> sum = 0;
        for (int64_t k = 0; k < inner; ++k) {
          Sum<T> product = 1;
          for (size_t i = 0; i < data.size(); ++i) {
            int64_t at = 0;
            for (size_t l = 0; l < all.size(); ++l) at += (o * inner + k) / positions[l] % all[l] * strides[i][l];
            product = wrap_mul(product, static_cast<Sum<T>>(data[i][at]));
          }
          sum = wrap_add(sum, product);
        }
        to[o] = store<T>(sum);
      }
    });
    c.set(0, std::move(y));
  });
}

/// Labels of input i that the result or another input has: the others are summed away within it.
std::vector<Label> shared_labels(const Equation& equation, size_t i) {
  std::vector<Label> result;
  for (const Label label : equation.inputs[i]) {
    bool elsewhere = equation.in_output(label);
    for (size_t k = 0; k < equation.inputs.size(); ++k) elsewhere |= k != i && equation.in_input(k, label);
    if (elsewhere) result.push_back(label);
  }
  return result;
}

/// The labels along which operand i has a size that is not 1 where another operand has 1, or may have.
bool is_narrower_elsewhere(const GradientContext& c, const Equation& equation, size_t i, Label label) {
  const auto size_in = [&](size_t k) { return (*c.type(c.input(k)).dims)[static_cast<size_t>(axis_of(equation.inputs[k], label))]; };
  bool all = !equation.in_output(label);  // the result has the full size
  for (size_t k = 0; k < equation.inputs.size(); ++k) {
    if (k != i && equation.in_input(k, label)) all &= size_in(k).is(1);
  }
  return all && !size_in(i).is(1);
}

/// Whether operand i is broadcast along a label, as far as sizes are known.
bool is_broadcast(const GradientContext& c, const Equation& equation, size_t i, size_t axis) {
  const Label label = equation.inputs[i][axis];
  if (!(*c.type(c.input(i)).dims)[axis].is(1)) return false;
  for (size_t k = 0; k < equation.inputs.size(); ++k) {
    for (size_t a = 0; a < equation.inputs[k].size(); ++a) {
      if (equation.inputs[k][a] == label && !(*c.type(c.input(k)).dims)[a].is(1)) return true;
    }
  }
  return false;
}

/// The gradient of an operand is the Einsum of the result's gradient and the other operands onto its labels; what it summed
/// by itself is repeated, where it was broadcast the sum is taken, and a diagonal gets it alone.
void gradient(GradientContext& c) {
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < c.node().inputs.size(); ++i) {
    if (!c.type(c.input(i)).has_rank()) c.fail("cannot be differentiated: the rank of an input is not known");
    ranks.push_back(c.type(c.input(i)).rank());
  }
  const Equation equation = read_equation(c.node(), ranks);
  for (size_t i = 0; i < ranks.size(); ++i) {
    if (!c.wants(i)) continue;
    std::vector<std::vector<Label>> terms = {equation.output};
    std::vector<ValueId> operands = {c.grad_output()};
    for (size_t k = 0; k < ranks.size(); ++k) {
      if (k == i) continue;
      terms.push_back(equation.inputs[k]);
      operands.push_back(c.input(k));
    }
    std::vector<Label> labels;  // of the gradient, each once
    for (const Label label : shared_labels(equation, i)) {
      if (axis_of(labels, label) < 0) labels.push_back(label);
    }
    // Where the operand is broadcast, its gradient is the sum: the Einsum leaves the label out.
    bool is_whole = labels.size() == equation.inputs[i].size();
    for (size_t axis = 0; axis < equation.inputs[i].size(); ++axis) {
      const Label label = equation.inputs[i][axis];
      if (is_broadcast(c, equation, i, axis)) std::erase(labels, label);
      is_whole &= axis_of(labels, label) >= 0 && !is_narrower_elsewhere(c, equation, i, label);
    }
    ValueId grad = c.add("Einsum", std::move(operands), {{"equation", to_text(terms, labels), {}}});
    if (!is_whole) {
      const auto list = [](const std::vector<Label>& v) { return std::vector<int64_t>(v.begin(), v.end()); };
      grad = c.add("EinsumSpread", {grad, c.input(i)}, {{"labels", list(equation.inputs[i]), {}}, {"from", list(labels), {}}});
    }
    c.set_grad(i, grad);
  }
}

/// A product of two operands as a stack of matrix products: what the labels do.
struct Roles {
  std::vector<Label> batch, rows, columns, inner;
};

std::optional<Roles> roles_of(const Equation& equation) {
  if (equation.inputs.size() != 2 || !equation.has_no_diagonal()) return std::nullopt;
  Roles roles;
  for (const size_t i : {0, 1}) {
    for (const Label label : equation.inputs[i]) {
      const bool both = equation.in_input(1 - i, label), out = equation.in_output(label);
      if (!both && !out) return std::nullopt;
      if (!both) (i == 0 ? roles.rows : roles.columns).push_back(label);
      else if (i == 0) (out ? roles.batch : roles.inner).push_back(label);
    }
  }
  return roles;
}

/// Sizes and strides of a tensor by label; 1 and 0 for labels it lacks.
struct Labelled {
  const std::vector<Label>& labels;
  Dims dims, strides;
  Labelled(const std::vector<Label>& l, const Dims& d) : labels(l), dims(d), strides(row_major_strides(d)) {}
  int64_t size(Label label) const { return axis_of(labels, label) < 0 ? 1 : dims[static_cast<size_t>(axis_of(labels, label))]; }
  int64_t stride(Label label) const { return axis_of(labels, label) < 0 ? 0 : strides[static_cast<size_t>(axis_of(labels, label))]; }
};

/// Two contracted labels are one axis where both operands hold them side by side.
bool merge_inner(Roles& roles, const Labelled& a, const Labelled& b, int64_t& size, int64_t& stride_a, int64_t& stride_b) {
  size = 1;
  stride_a = stride_b = 1;
  for (size_t i = roles.inner.size(); i-- > 0;) {
    const Label label = roles.inner[i];
    if (i + 1 == roles.inner.size()) {
      stride_a = a.stride(label);
      stride_b = b.stride(label);
    } else if (a.stride(label) != stride_a * size || b.stride(label) != stride_b * size) {
      return false;
    }
    size *= a.size(label);
  }
  return true;
}

/// The label with the densest axis of `of`, taken out of the list; 0 where it is empty.
Label take_densest(std::vector<Label>& list, const Labelled& of) {
  if (list.empty()) return 0;
  const auto best = std::min_element(list.begin(), list.end(), [&](Label x, Label y) { return of.stride(x) < of.stride(y); });
  const Label label = *best;
  list.erase(best);
  return label;
}

/// Products of two float operands without broadcasting. The operand whose labels end the result stands on the right.
bool lower_product(LowerContext& c) {
  if (c.node().inputs.size() != 2 || c.type(0) != DataType::float32) return false;
  Dims x = c.dims(0), y = c.dims(1);
  const Dims z = c.output_dims(0);
  Equation equation = read_equation(c.node(), {static_cast<int64_t>(x.size()), static_cast<int64_t>(y.size())});
  if (element_count(x) == 0 || element_count(y) == 0 || element_count(z) == 0) return false;
  const bool swap = !equation.output.empty() && equation.in_input(0, equation.output.back()) && !equation.in_input(1, equation.output.back());
  const size_t left = swap ? 1 : 0;
  if (swap) {
    std::swap(equation.inputs[0], equation.inputs[1]);
    std::swap(x, y);
  }
  auto roles = roles_of(equation);
  if (!roles) return false;
  const Labelled a(equation.inputs[0], x), b(equation.inputs[1], y), r(equation.output, z);
  for (const Label label : equation.inputs[0]) {
    if (equation.in_input(1, label) && a.size(label) != b.size(label)) return false;
  }
  MatMulProblem p;
  int64_t inner, inner_a, inner_b;
  if (!merge_inner(*roles, a, b, inner, inner_a, inner_b)) return false;
  const Label row = take_densest(roles->rows, r), column = take_densest(roles->columns, r);
  std::vector<Label> stack = roles->batch;
  stack.insert(stack.end(), roles->rows.begin(), roles->rows.end());
  stack.insert(stack.end(), roles->columns.begin(), roles->columns.end());
  if (stack.size() > 6) return false;
  for (const Label label : stack) {
    p.a.push_back(a.size(label));
    p.b.push_back(b.size(label));
    p.c.push_back(r.size(label));
    p.a_strides.push_back(p.a.back() == 1 ? element_count(x) : a.stride(label));
    p.b_strides.push_back(p.b.back() == 1 ? element_count(y) : b.stride(label));
    p.c_strides.push_back(r.stride(label));
  }
  const auto add = [](Dims& dims, Dims& strides, int64_t size, int64_t stride) {
    dims.push_back(size);
    strides.push_back(std::max<int64_t>(1, stride));
  };
  add(p.a, p.a_strides, a.size(row), a.stride(row));
  add(p.a, p.a_strides, inner, inner_a);
  add(p.b, p.b_strides, inner, inner_b);
  add(p.b, p.b_strides, b.size(column), b.stride(column));
  add(p.c, p.c_strides, r.size(row), r.stride(row));
  add(p.c, p.c_strides, r.size(column), r.stride(column));
  Primitive step = matmul(p);
  if (step.implementation.rfind("ref", 0) == 0) return false;
  const auto plain = [](const Dims& dims) { return Layout::plain(DataType::float32, dims); };
  const std::vector<Operand> args = {c.read(left, plain(x)), c.read(1 - left, plain(y)), c.write(0, plain(z))};
  c.step(std::move(step), args);
  return true;
}

/// Anything else on floats: one loop over all labels.
bool lower_contraction(LowerContext& c) {
  constexpr size_t kMostOperands = 8;
  const size_t n = c.node().inputs.size();
  if (n > kMostOperands || c.type(0) != DataType::float32 || element_count(c.output_dims(0)) == 0) return false;
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < n; ++i) {
    if (element_count(c.dims(i)) == 0) return false;
    ranks.push_back(static_cast<int64_t>(c.dims(i).size()));
  }
  const Equation equation = read_equation(c.node(), ranks);
  ContractProblem p{c.output_dims(0), {}, {}};
  std::vector<Label> order = equation.output;
  for (size_t i = 0; i < n; ++i) {
    for (size_t axis = 0; axis < equation.inputs[i].size(); ++axis) {
      const Label label = equation.inputs[i][axis];
      int at = axis_of(order, label);
      if (at < 0) {
        at = static_cast<int>(order.size());
        order.push_back(label);
        p.summed.push_back(1);
      }
      const size_t summed = static_cast<size_t>(at) - p.kept.size();
      if (static_cast<size_t>(at) >= p.kept.size()) p.summed[summed] = std::max(p.summed[summed], c.dims(i)[axis]);
    }
  }
  std::vector<Operand> args;
  for (size_t i = 0; i < n; ++i) {
    p.strides.push_back(label_strides(equation.inputs[i], c.dims(i), order));
    args.push_back(c.read(i, Layout::plain(DataType::float32, c.dims(i))));
  }
  args.push_back(c.write(0, Layout::plain(DataType::float32, c.output_dims(0))));
  c.step(contract(std::move(p)), args, "loop");
  return true;
}

bool lower(LowerContext& c) { return lower_product(c) || lower_contraction(c); }

/// Whichever operands are constant.
std::vector<int> parameters(const Node& node) {
  std::vector<int> all;
  for (size_t i = 0; i < node.inputs.size(); ++i) all.push_back(static_cast<int>(i));
  return all;
}

/// One multiply-accumulate per operand after the first and position of all labels.
Cost cost(const InferContext& c) {
  const auto equation = equation_of(c);
  if (!equation || c.input_count() < 2) return {.bytes = known_traffic(c)};
  SymbolicDims dims;
  for (const auto& [label, size] : label_sizes(c, *equation)) dims.push_back(size);
  const auto known = to_known(dims);
  const int64_t macs = known ? checked_mul(element_count(*known), static_cast<int64_t>(c.input_count()) - 1) : 0;
  return {.macs = macs, .flops = checked_mul(2, macs), .bytes = known_traffic(c)};
}

}  // namespace

extern const Op einsum;
const Op einsum = {
    .name = "Einsum",
    .since = 12,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::einsum,
    .cut = cuts::einsum,
    .cost = cost,
    .parameters = parameters,
};

}  // namespace espalier::ops
