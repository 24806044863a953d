#include "lib/ops/unit_reasons.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "lib/ops/op.h"

namespace espalier {
namespace {

/// What an operator does that every channel takes part in.
constexpr std::pair<std::string_view, const char*> kReasons[] = {
    {"AffineGrid", "makes places of it"},
    {"Bernoulli", "draws numbers by position"},
    {"BitCast", "reads its bytes as they lie"},
    {"ConcatFromSequence", "takes it from a list of any length"},
    {"ConstantOfShape", "takes its shape from data"},
    {"CumProd", "multiplies through all of it"},
    {"DFT", "transforms it as a signal"},
    {"DynamicQuantizeLinear", "takes its scale from all of it"},
    {"MelWeightMatrix", "makes a matrix of sizes that it holds"},
    {"Multinomial", "draws by all weights together"},
    {"NegativeLogLikelihoodLoss", "compares the classes"},
    {"NonMaxSuppression", "compares all boxes and scores"},
    {"NonZero", "gives out positions"},
    {"Optional", "wraps it whole"},
    {"OptionalGetElement", "takes it from a value that may be absent"},
    {"OptionalHasElement", "asks whether it is there"},
    {"RandomNormalLike", "draws numbers of its shape"},
    {"RandomUniformLike", "draws numbers of its shape"},
    {"Range", "counts by it"},
    {"SequenceAt", "takes it from a list of any length"},
    {"SequenceConstruct", "puts it into a list of any length"},
    {"SequenceErase", "puts it into a list of any length"},
    {"SequenceInsert", "puts it into a list of any length"},
    {"SequenceLength", "counts a list"},
    {"SequenceMap", "hands it to a body once an element"},
    {"Shape", "reads sizes that depend on data"},
    {"Size", "reads sizes that depend on data"},
    {"SoftmaxCrossEntropyLoss", "compares the classes"},
    {"SplitToSequence", "puts it into a list of any length"},
    {"STFT", "transforms it as a signal"},
    {"TensorScatter", "writes a cache at positions that data give"},
    {"TfIdfVectorizer", "counts the values themselves"},
    {"Unique", "compares all of it"},
};

}  // namespace

std::string freeze_reason(const Node& node, bool sized) {
  const std::string op = (node.domain.empty() ? "" : node.domain + ".") + node.op_type;
  if (!find_op(node)) return op + " is an operator that is not known here";
  if (node.has("then_branch") || node.has("body")) return op + " has bodies that could not be entered";
  const auto same = [&](const auto& r) { return r.first == node.op_type; };
  const auto found = std::find_if(std::begin(kReasons), std::end(kReasons), same);
  if (node.domain.empty() && found != std::end(kReasons)) return op + " " + found->second;
  if (!sized) return op + " has sizes that depend on data";
  return op + " in this form needs all of it";
}

}  // namespace espalier
