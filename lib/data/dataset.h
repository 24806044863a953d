#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/tensor/tensor.h"

namespace espalier {

/// Values of one model input for every sample.
struct Column {
  std::string input;  ///< name of the model's input; "x": its only one
  Tensor values;      ///< [N, ...] as the file has them: bytes stay bytes until a batch is made
};

/// Samples in memory, or some of their rows. A value: copies and splits share the tensors.
struct Dataset {
  std::string name;            ///< as the user gave it
  std::vector<Column> inputs;
  Tensor targets;              ///< int64 [N, ...] class indices or float [N, ...] values; undefined without labels
  std::vector<int64_t> rows;   ///< the samples that belong to this set, in order

  int64_t size() const { return static_cast<int64_t>(rows.size()); }
  bool labelled() const { return targets.defined(); }
  bool has_classes() const { return targets.type() == DataType::int64; }
  /// Values for a model input: its column, or the one called "x" where there is one column only.
  /// Throws Error(bad_data) naming what is there.
  const Tensor& input(const std::string& model_input) const;
};

/// Opens a data set. `spec` is a file and, behind a colon, which array is which:
///     train.npz                       arrays named as the model's inputs, or `x`; labels in `y`, where there are any
///     file.npz:x=images,y=labels      other names; `y=` for none
///     images.npy:y=labels.npy         single arrays (labels optional)
///     train-images-idx3-ubyte         MNIST's own, plain or .gz; labels are found by its naming, or given: `:y=FILE`
/// `model_inputs` are the names by which arrays are recognised. Integer labels become int64, other numbers float.
/// Throws Error(io) if a file cannot be read, Error(bad_data) for files that are not what they should be, for
/// counts that differ and for data without samples, Error(usage) for a spec that cannot be understood.
Dataset open_dataset(const std::string& spec, std::span<const std::string> model_inputs = {});

/// A data set of tensors in memory, all rows. Throws Error(bad_data) as above.
Dataset make_dataset(std::string name, std::vector<Column> inputs, Tensor targets = {});

/// Parts a data set at random (by seed) into training data and `fraction` of it (at least one sample) for validation.
/// Both keep the order of rows. Throws Error(usage) for a fraction outside (0, 1), Error(bad_data) below two samples.
std::pair<Dataset, Dataset> split(const Dataset& data, double fraction, uint64_t seed);

/// The first `count` rows, or all where there are fewer.
Dataset head(const Dataset& data, int64_t count);

/// Throws Error(bad_data) naming the row unless every label is a class index in [0, classes).
void check_labels(const Dataset& data, int64_t classes);

}  // namespace espalier
