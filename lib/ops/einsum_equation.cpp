#include "lib/ops/einsum_equation.h"

#include <algorithm>
#include <map>
#include <set>

#include "lib/base/error.h"

namespace espalier {
namespace {

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

}  // namespace

int axis_of(const std::vector<Label>& labels, Label label) {
  const auto found = std::find(labels.begin(), labels.end(), label);
  return found == labels.end() ? -1 : static_cast<int>(found - labels.begin());
}

bool Equation::in_output(Label label) const { return axis_of(output, label) >= 0; }
bool Equation::in_input(size_t i, Label label) const { return axis_of(inputs[i], label) >= 0; }

bool Equation::has_no_diagonal() const {
  return std::all_of(inputs.begin(), inputs.end(), [](const auto& labels) {
    return std::set<Label>(labels.begin(), labels.end()).size() == labels.size();
  });
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

std::string to_text(const std::vector<std::vector<Label>>& inputs, const std::vector<Label>& output) {
  std::set<Label> used;
  for (const auto& labels : inputs) used.insert(labels.begin(), labels.end());
  const std::string letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  size_t next = 0;
  std::map<Label, char> names;
  for (const Label label : used) {
    if (label > 0) {
      names[label] = static_cast<char>(label);
      continue;
    }
    while (next < letters.size() && used.contains(letters[next])) ++next;
    check(next < letters.size(), "letters enough for an ellipsis");
    names[label] = letters[next++];
  }
  std::string text;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (i > 0) text += ',';
    for (const Label label : inputs[i]) text += names.at(label);
  }
  text += "->";
  for (const Label label : output) text += names.at(label);
  return text;
}

}  // namespace espalier
