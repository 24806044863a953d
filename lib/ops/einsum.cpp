#include <algorithm>
#include <map>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/matmul_loop.h"

namespace espalier::ops {
namespace {

/// A label of an axis: a letter, or -1, -2 ... for the axes of an ellipsis, the last one first.
using Label = int;

struct Equation {
  std::vector<std::vector<Label>> inputs;
  std::vector<Label> output;
};

constexpr Label kEllipsis = 0;

std::vector<Label> read_term(const Node& node, std::string_view term) {
  std::vector<Label> labels;
  for (size_t i = 0; i < term.size(); ++i) {
    const char letter = term[i];
    if (letter == ' ') continue;
    if ((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z')) {
      labels.push_back(letter);
    } else if (term.substr(i, 3) == "..." && std::find(labels.begin(), labels.end(), kEllipsis) == labels.end()) {
      labels.push_back(kEllipsis);
      i += 2;
    } else {
      throw Error(ErrorKind::bad_data, node.where() + ": equation has '" + std::string(term.substr(i, 1)) + "', expected letters and one '...' a term");
    }
  }
  return labels;
}

/// The ellipsis becomes as many labels as the rank leaves over.
void expand_ellipsis(std::vector<Label>& labels, int64_t axes) {
  const auto found = std::find(labels.begin(), labels.end(), kEllipsis);
  if (found == labels.end()) return;
  std::vector<Label> hidden;
  for (int64_t i = axes; i > 0; --i) hidden.push_back(static_cast<Label>(-i));
  labels.insert(labels.erase(found), hidden.begin(), hidden.end());
}

/// Without '->' the result has the ellipsis and then, sorted, the letters that occur once.
std::vector<Label> implicit_output(const std::vector<std::vector<Label>>& inputs) {
  std::map<Label, int> uses;
  for (const auto& labels : inputs) {
    for (const Label label : labels) ++uses[label];
  }
  std::vector<Label> output;
  if (uses.count(kEllipsis)) output.push_back(kEllipsis);
  for (const auto& [label, count] : uses) {
    if (label != kEllipsis && count == 1) output.push_back(label);
  }
  return output;
}

Equation read_equation(const Node& node, const std::vector<int64_t>& ranks) {
  const auto text = node.require<std::string>("equation");
  const auto wrong = [&](const std::string& what) { throw Error(ErrorKind::bad_data, node.where() + ": equation '" + text + "' " + what); };
  const size_t arrow = text.find("->");
  Equation equation;
  std::string_view left = std::string_view(text).substr(0, arrow);
  for (;;) {
    const size_t comma = left.find(',');
    equation.inputs.push_back(read_term(node, left.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    left.remove_prefix(comma + 1);
  }
  if (equation.inputs.size() != ranks.size()) wrong("has " + std::to_string(equation.inputs.size()) + " terms, expected " + std::to_string(ranks.size()));
  equation.output = arrow == std::string::npos ? implicit_output(equation.inputs) : read_term(node, std::string_view(text).substr(arrow + 2));
  int64_t most = 0;
  for (size_t i = 0; i < ranks.size(); ++i) {
    auto& labels = equation.inputs[i];
    const bool hides = std::find(labels.begin(), labels.end(), kEllipsis) != labels.end();
    const int64_t hidden = ranks[i] - static_cast<int64_t>(labels.size()) + hides;
    if (hidden < 0 || (!hides && hidden != 0)) wrong("does not fit input " + std::to_string(i) + " of rank " + std::to_string(ranks[i]));
    most = std::max(most, hidden);
    expand_ellipsis(labels, hidden);
  }
  expand_ellipsis(equation.output, most);
  for (size_t i = 0; i < equation.output.size(); ++i) {
    const Label label = equation.output[i];
    const bool known = std::any_of(equation.inputs.begin(), equation.inputs.end(), [&](const auto& labels) { return std::count(labels.begin(), labels.end(), label) > 0; });
    if (!known || std::count(equation.output.begin(), equation.output.end(), label) > 1) wrong("has an output label that no term has, or has it twice");
  }
  return equation;
}

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
    .cost = cost,
};

}  // namespace espalier::ops
