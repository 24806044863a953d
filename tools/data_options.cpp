#include "tools/data_options.h"

#include <algorithm>

#include "lib/data/batcher.h"
#include "passes/check_inputs.h"

namespace espalier {

std::vector<OptionSpec> preprocessing_options() {
  return {
      {"scale", "X,...", "what the model gets is (x * scale - mean) / std; one value or one a channel, 1/255 is a number", ""},
      {"mean", "X,...", "subtracted after scaling", ""},
      {"std", "X,...", "divides last", ""},
      {"layout", "auto|nchw|nhwc", "how images lie in the data", "auto"},
  };
}

Preprocessing preprocessing_of(const Arguments& arguments) {
  Preprocessing result;
  const auto list = [&](const char* option) {
    return arguments.has(option) ? parse_numbers(arguments.text(option), std::string("--") + option) : std::vector<double>();
  };
  result.scale = list("scale");
  result.mean = list("mean");
  result.std = list("std");
  result.layout = parse_layout(arguments.text("layout"));
  return result;
}

Dataset dataset_of(const Arguments& arguments, const std::string& option, const Graph& graph) {
  std::vector<std::string> inputs;
  for (const ValueId v : fed_inputs(graph)) inputs.push_back(graph.value(v).name);
  return open_dataset(arguments.text(option), inputs);
}

std::vector<Feeds> feeds_of(const Dataset& data, const Preprocessing& preprocessing, const Graph& graph, int64_t samples) {
  std::vector<InputSlot> slots;
  int64_t batch = samples;
  for (const ValueId v : fed_inputs(graph)) {
    const Value& value = graph.value(v);
    if (!value.type.is_tensor() || !value.type.has_rank() || value.type.rank() == 0) {
      throw Error(ErrorKind::bad_data, "input '" + value.name + "' is " + value.type.str() + ", which data cannot be batched for");
    }
    InputSlot slot{value.name, value.type.elem_type, {}};
    for (size_t axis = 1; axis < value.type.dims->size(); ++axis) {
      const Dim& dim = (*value.type.dims)[axis];
      slot.dims.push_back(dim.known() ? dim.value() : -1);
    }
    if (value.type.dims->front().known()) batch = value.type.dims->front().value();
    slots.push_back(std::move(slot));
  }
  const Dataset some = head(data, std::max(samples, batch));
  if (some.size() < batch && batch > samples) {
    throw Error(ErrorKind::bad_data, "the model takes batches of " + std::to_string(batch) + ", the data have " +
                                         std::to_string(some.size()) + " samples");
  }
  BatcherOptions options;
  options.batch_size = std::min(batch, some.size());
  const Batcher batcher(some, slots, preprocessing, options);
  std::vector<Feeds> result;
  for (int64_t b = 0; b < batcher.batches(); ++b) {
    const int64_t n = batcher.batch_size(b);
    if (b > 0 && n < batcher.batch_size(0)) break;  // a fixed batch takes no partial one
    Feeds feeds;
    for (size_t s = 0; s < slots.size(); ++s) {
      Dims dims = {n};
      dims.insert(dims.end(), batcher.sample_dims(s).begin(), batcher.sample_dims(s).end());
      Tensor tensor(slots[s].type, dims);
      batcher.fill(b, s, tensor.mutable_bytes());
      feeds[slots[s].name] = std::move(tensor);
    }
    result.push_back(std::move(feeds));
  }
  return result;
}

}  // namespace espalier
