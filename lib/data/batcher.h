#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/data/dataset.h"
#include "lib/data/preprocess.h"

namespace espalier {

/// Random changes of training images, drawn from (seed, epoch, sample).
struct Augmentation {
  bool flip = false;  ///< left and right change sides, one time in two
  int64_t crop = 0;   ///< pixels: moved by up to so many in each direction; what comes in is 0 before preprocessing

  bool any() const { return flip || crop > 0; }
};

/// "flip", "crop:4", "flip,crop:4". Throws Error(usage).
Augmentation parse_augmentation(const std::string& text);

/// A model input that a batcher fills: name, element type, dims without the batch (-1: left open).
struct InputSlot {
  std::string name;
  DataType type = DataType::float32;
  Dims dims;
};

struct BatcherOptions {
  int64_t batch_size = 32;
  bool shuffle = false;
  uint64_t seed = 0;
  Augmentation augmentation;
};

/// Makes batches of a data set, straight into a plan's inputs. What a batch holds depends on data, options, epoch and
/// its number only: not on threads, nor on which batches were made before. Filling allocates nothing.
class Batcher {
 public:
  /// Keeps `data`'s tensors. Throws Error(bad_data) where samples do not fit a slot, Error(usage) for preprocessing or
  /// augmentation that has no meaning for it, or a batch size below 1.
  Batcher(const Dataset& data, std::vector<InputSlot> slots, const Preprocessing& preprocessing, const BatcherOptions& options);
  ~Batcher();
  Batcher(Batcher&&) noexcept;
  Batcher& operator=(Batcher&&) noexcept;

  /// Draws the order (where shuffled) and the augmentation of an epoch. Before the first call: epoch 0.
  void start_epoch(int64_t epoch);

  int64_t samples() const;
  int64_t batches() const;                     ///< the last partial one included
  int64_t batch_size(int64_t batch) const;     ///< samples of it
  const Dims& sample_dims(size_t slot) const;  ///< of a slot, open sizes filled in
  bool transposes(size_t slot) const;

  /// Writes input `slot` of a batch, row-major [batch_size(batch), sample_dims...] in the slot's type.
  /// Throws Error(internal) unless `out` has exactly that size.
  void fill(int64_t batch, size_t slot, std::span<std::byte> out) const;
  /// Writes the targets of a batch, row-major [batch_size(batch), ...]; Error(internal) unless data are labelled with
  /// this type and the size is right.
  void fill_targets(int64_t batch, std::span<int64_t> out) const;
  void fill_targets(int64_t batch, std::span<float> out) const;
  /// Rows of the data set's arrays that a batch holds.
  std::span<const int64_t> rows(int64_t batch) const;

 private:
  class Source;
  Dataset data_;
  BatcherOptions options_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::vector<int64_t> order_;
  int64_t epoch_ = 0;
};

}  // namespace espalier
