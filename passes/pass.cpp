#include "passes/pass.h"

#include <algorithm>

#include "passes/resources.h"

namespace espalier {

std::string_view name(Contract contract) {
  switch (contract) {
    case Contract::exact: return "exact";
    case Contract::equal: return "equal";
    case Contract::masked: return "masked";
    case Contract::trained: return "trained";
  }
  return "?";
}

namespace {

bool declares(const Pass& pass, std::string_view counter) {
  return std::any_of(pass.counters.begin(), pass.counters.end(), [&](const PassCounter& c) { return c.name == counter; });
}

}  // namespace

void PassContext::count(std::string_view counter, int64_t n) {
  check(declares(pass_, counter), "pass " + std::string(pass_.name) + " declares counter " + std::string(counter));
  report_.counters[std::string(counter)] += n;
}

void PassContext::figure(std::string_view figure, double value) { report_.figures[std::string(figure)] = value; }

void PassContext::note(std::string line) { report_.notes.push_back(std::move(line)); }

void PassContext::checked(Verification verification) { report_.verification = std::move(verification); }

void PassContext::missed(std::string message, std::string hint) { report_.missed = {std::move(message), std::move(hint)}; }

bool PassContext::run(const Pass& part) {
  PassOptions options(part.options);
  for (const PassOption& option : part.options) {
    if (options_.given(option.name)) options.set(option.name, options_.typed(option.name));
  }
  PassReport report;
  PassContext inner(part, options, resources_, model_, report);
  part.run(inner);
  bool counted = false;
  for (const auto& [counter, n] : report.counters) {
    counted = counted || n != 0;
    if (declares(pass_, counter)) count(counter, n);
  }
  for (std::string& line : report.notes) {
    const auto& known = report_.notes;
    if (std::find(known.begin(), known.end(), line) == known.end()) note(std::move(line));
  }
  if (report.missed) report_.missed = std::move(report.missed);
  return counted;
}

void throw_if_missed(std::span<const PassReport> reports) {
  for (const PassReport& report : reports) {
    if (report.missed) throw Error(ErrorKind::target, report.missed->message).hint(report.missed->hint);
  }
}

void stop_if_asked(const Resources& resources) {
  if (resources.stop && resources.stop()) throw Error(ErrorKind::interrupted, "interrupted");
}

}  // namespace espalier
