#include "lib/data/preprocess.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "lib/base/error.h"

namespace espalier {
namespace {

double parse_plain(std::string_view text, const std::string& whole, const std::string& option) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    throw Error(ErrorKind::usage, option + ": '" + whole + "' is not a number").hint("for example 0.5, 1e-3 or 1/255");
  }
  return value;
}

Dims without_ones(const Dims& dims) {
  Dims result;
  std::copy_if(dims.begin(), dims.end(), std::back_inserter(result), [](int64_t d) { return d != 1; });
  return result;
}

/// Whether one shape comes from the other by merging neighbouring axes (and axes of size 1).
bool merges(const Dims& a, const Dims& b) {
  const auto products = [](const Dims& dims) {
    std::vector<int64_t> result;
    int64_t product = 1;
    for (const int64_t d : without_ones(dims)) result.push_back(product *= d);
    return result;
  };
  const auto pa = products(a), pb = products(b);
  if ((pa.empty() ? 1 : pa.back()) != (pb.empty() ? 1 : pb.back())) return false;
  return std::includes(pa.begin(), pa.end(), pb.begin(), pb.end()) || std::includes(pb.begin(), pb.end(), pa.begin(), pa.end());
}

/// The model's dims with open sizes filled in from `data`, where data fits; false where it does not.
bool fits(const Dims& data, const Dims& model, Dims& out) {
  if (std::find(model.begin(), model.end(), -1) == model.end()) {
    out = model;
    return merges(data, model);
  }
  Dims padded = data;
  if (padded.size() > model.size()) padded = without_ones(data);
  if (padded.size() > model.size()) return false;
  padded.insert(padded.begin(), model.size() - padded.size(), 1);
  for (size_t i = 0; i < model.size(); ++i) {
    if (model[i] != -1 && model[i] != padded[i]) return false;
  }
  out = padded;
  return true;
}

Dims to_chw(const Dims& hwc) { return {hwc[2], hwc[0], hwc[1]}; }
Dims to_hwc(const Dims& chw) { return {chw[1], chw[2], chw[0]}; }

/// Lays the strides of an image [H, W, C] or [C, H, W].
void set_image(SampleMap& map, const Dims& from, bool from_hwc, bool to_hwc_order) {
  map.image = true;
  map.channels = from_hwc ? from[2] : from[0];
  map.height = from_hwc ? from[0] : from[1];
  map.width = from_hwc ? from[1] : from[2];
  const auto strides = [&](bool hwc, int64_t& channel, int64_t& row, int64_t& column) {
    channel = hwc ? 1 : map.height * map.width;
    column = hwc ? map.channels : 1;
    row = map.width * column;
  };
  strides(from_hwc, map.from_channel, map.from_row, map.from_column);
  strides(to_hwc_order, map.to_channel, map.to_row, map.to_column);
  map.transposed = from_hwc != to_hwc_order && map.channels > 1;
}

/// Samples that are not transposed.
void set_plain(SampleMap& map, const Dims& dims, DataLayout layout, int64_t values) {
  if (dims.size() == 3) {
    bool hwc = layout == DataLayout::nhwc;
    if (layout == DataLayout::automatic) {
      hwc = values > 1 ? dims[2] == values && dims[0] != values : dims[0] > 4 && dims[2] <= 4;
    }
    set_image(map, dims, hwc, hwc);
  } else if (dims.size() == 2) {
    set_image(map, {1, dims[0], dims[1]}, false, false);
  } else {
    const int64_t count = element_count(dims);
    map.channels = values > 1 && !dims.empty() ? dims[0] : 1;
    map.width = map.channels > 0 ? count / map.channels : 0;
    map.from_channel = map.to_channel = map.from_row = map.to_row = map.width;
  }
}

/// A flat sample seen as the image that the model wants.
Dims unflattened(const Dims& data, const Dims& model, DataLayout layout) {
  const bool known = std::all_of(model.begin(), model.end(), [](int64_t d) { return d > 0; });
  if (without_ones(data).size() != 1 || model.size() != 3 || !known || element_count(data) != element_count(model)) return data;
  return layout == DataLayout::nhwc && model[0] < model[2] ? to_hwc(model) : model;
}

}  // namespace

double parse_number(const std::string& text, const std::string& option) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return parse_plain(text, text, option);
  const std::string_view view(text);
  const double value = parse_plain(view.substr(0, slash), text, option) / parse_plain(view.substr(slash + 1), text, option);
  if (!std::isfinite(value)) throw Error(ErrorKind::usage, option + ": '" + text + "' divides by zero");
  return value;
}

std::vector<double> parse_numbers(const std::string& text, const std::string& option) {
  std::vector<double> values;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    values.push_back(parse_number(text.substr(at, end - at), option));
    at = end + 1;
  }
  return values;
}

DataLayout parse_layout(const std::string& text) {
  if (text == "auto") return DataLayout::automatic;
  if (text == "nchw") return DataLayout::nchw;
  if (text == "nhwc") return DataLayout::nhwc;
  throw Error(ErrorKind::usage, "layout is '" + text + "', expected auto, nchw or nhwc");
}

SampleMap fit_sample(const Dims& data_dims, const Dims& model, DataLayout layout, int64_t values) {
  const Dims data = unflattened(data_dims, model, layout);
  SampleMap map;
  const bool image = data.size() == 3;
  const bool same = data == model;
  const bool chw_first = image && layout == DataLayout::nhwc && !same;  // where sizes are open, models are NCHW
  if (chw_first && fits(to_chw(data), model, map.out_dims) && map.out_dims.size() == 3 && map.out_dims == to_chw(data)) {
    set_image(map, data, true, false);
  } else if (fits(data, model, map.out_dims)) {
    set_plain(map, data, layout, values);
  } else if (image && layout != DataLayout::nchw && fits(to_chw(data), model, map.out_dims)) {
    set_image(map, data, true, false);
  } else if (image && layout != DataLayout::nhwc && fits(to_hwc(data), model, map.out_dims)) {
    set_image(map, data, false, true);
  } else {
    throw Error(ErrorKind::bad_data, "samples have shape " + to_string(data_dims) + ", the model's input wants " + to_string(model));
  }
  return map;
}

ChannelValues channel_values(const Preprocessing& preprocessing, int64_t channels) {
  const auto filled = [&](const std::vector<double>& given, double otherwise, const char* option) {
    if (given.size() > 1 && static_cast<int64_t>(given.size()) != channels) {
      throw Error(ErrorKind::usage, std::string(option) + " has " + std::to_string(given.size()) +
                                        " values, expected one or one for each of " + std::to_string(channels) + " channels");
    }
    const double value = given.empty() ? otherwise : given[0];
    return given.size() > 1 ? given : std::vector<double>(static_cast<size_t>(channels), value);
  };
  ChannelValues result{filled(preprocessing.scale, 1, "scale"), filled(preprocessing.mean, 0, "mean"),
                       filled(preprocessing.std, 1, "std")};
  if (std::find(result.std.begin(), result.std.end(), 0.0) != result.std.end()) {
    throw Error(ErrorKind::usage, "std is 0, expected other numbers");
  }
  return result;
}

}  // namespace espalier
