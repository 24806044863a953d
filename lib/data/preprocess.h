#pragma once

#include <string>
#include <vector>

#include "lib/tensor/shape.h"

namespace espalier {

/// How images lie in the data: automatic takes them as they are where that fits the model, transposed where only that fits.
enum class DataLayout { automatic, nchw, nhwc };

/// What the model gets is (x * scale - mean) / std. Each list is empty (1, 0, 1), one value, or one per channel.
struct Preprocessing {
  std::vector<double> scale, mean, std;
  DataLayout layout = DataLayout::automatic;

  bool changes_values() const { return !scale.empty() || !mean.empty() || !std.empty(); }
};

/// "0.5", "1e-3", "1/255". Throws Error(usage) naming `option` for anything else, and for what is not finite.
double parse_number(const std::string& text, const std::string& option);
/// The same, with commas between.
std::vector<double> parse_numbers(const std::string& text, const std::string& option);
/// "auto", "nchw", "nhwc". Throws Error(usage).
DataLayout parse_layout(const std::string& text);

/// Where the elements of a sample come from and go to. A sample is channels x height x width; what is no image has
/// height 1, or all in the width.
struct SampleMap {
  Dims out_dims;                            ///< as the model gets it, without the batch
  int64_t channels = 1, height = 1, width = 1;
  int64_t from_channel = 0, from_row = 0, from_column = 1;  ///< strides in the file's sample, in elements
  int64_t to_channel = 0, to_row = 0, to_column = 1;        ///< strides in the model's sample
  bool image = false;                       ///< has height and width: may be flipped and cropped
  bool transposed = false;

  int64_t count() const { return channels * height * width; }
};

/// Fits samples of the data to a model's input. `data` and `model` are dims without the batch; -1 in `model` is a size that
/// the model leaves open. Axes of size 1 are added or dropped, neighbouring axes split or merged (784 stands for 28 x 28),
/// images transposed as Preprocessing::layout says and only where the model's input differs.
/// `values` per channel (1: the same for all) tells features apart. Throws Error(bad_data) where nothing fits.
SampleMap fit_sample(const Dims& data, const Dims& model, DataLayout layout, int64_t values);

/// scale, mean and std of each of `channels`, filled up. Throws Error(usage) if a list has another length, or std has a 0.
struct ChannelValues {
  std::vector<double> scale, mean, std;
};
ChannelValues channel_values(const Preprocessing& preprocessing, int64_t channels);

}  // namespace espalier
