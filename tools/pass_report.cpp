#include "tools/pass_report.h"

#include <fmt/format.h>

#include "lib/report/table.h"
#include "lib/report/units.h"

namespace espalier {
namespace {

std::string counters_text(const PassReport& report) {
  std::string text;
  for (const auto& [counter, n] : report.counters) {
    if (n != 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", n, counter);
  }
  return text.empty() ? "-" : text;
}

std::string check_text(const Verification& v) {
  if (v.state != Verification::State::passed) return std::string(name(v.state));
  return v.worst == 0 ? "same" : fmt::format("error {:.1e}", v.worst);
}

}  // namespace

std::string_view name(Verification::State state) {
  switch (state) {
    case Verification::State::passed: return "passed";
    case Verification::State::unchanged: return "unchanged";
    case Verification::State::unverified: return "unverified";
    case Verification::State::off: return "off";
  }
  return "?";
}

std::string pass_table(std::span<const PassReport> reports) {
  Table table({"pass", "nodes", "what it did", "check", "time"});
  table.left(2).left(3);
  for (const PassReport& r : reports) {
    table.row({r.text, fmt::format("{} -> {}", r.nodes_before, r.nodes_after), counters_text(r), check_text(r.verification),
               seconds_text(r.seconds)});
  }
  std::string text = table.text();
  for (const PassReport& r : reports) {
    const std::string pass = r.text.substr(0, r.text.find('{'));
    for (const std::string& note : r.notes) text += pass + ": " + printable(note) + "\n";
    if (r.verification.state == Verification::State::unverified) {
      text += pass + ": unverified: " + printable(r.verification.detail) + "\n";
    }
  }
  return text;
}

Json to_json(std::span<const PassReport> reports) {
  Json list = Json::array();
  for (const PassReport& r : reports) {
    Json entry;
    entry["pass"] = r.text;
    entry["seconds"] = r.seconds;
    entry["nodes_before"] = r.nodes_before;
    entry["nodes_after"] = r.nodes_after;
    entry["counters"] = Json::object();
    for (const auto& [counter, n] : r.counters) entry["counters"][counter] = n;
    for (const auto& [figure, value] : r.figures) entry["figures"][figure] = value;
    if (!r.notes.empty()) entry["notes"] = r.notes;
    if (r.missed) entry["missed"] = r.missed->message;
    entry["check"] = {{"state", name(r.verification.state)}, {"error", r.verification.worst}, {"detail", r.verification.detail}};
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace espalier
