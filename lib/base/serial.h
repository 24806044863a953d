#pragma once

namespace espalier {

/// While one lives, parallel loops that its thread starts run on that thread alone: for work so small that waking
/// another thread costs more than it saves. On a busy machine a wake-up is milliseconds.
class SerialScope {
 public:
  explicit SerialScope(bool active = true);
  ~SerialScope();
  SerialScope(const SerialScope&) = delete;
  SerialScope& operator=(const SerialScope&) = delete;

 private:
  bool active_;
};

}  // namespace espalier
