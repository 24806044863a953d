#pragma once

namespace espalier {

/// While one lives, thread_count() is 1 for its thread: parallel loops and oneDNN's primitives that it starts run on it
/// alone. For work so small that waking another thread costs more than it saves; on a busy machine a wake-up is
/// milliseconds. What sizes its memory by thread_count() inside of one has to run inside of one.
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
