#include "lib/report/table.h"

#include <algorithm>

#include "lib/base/error.h"

namespace espalier {
namespace {

/// Characters, not bytes: UTF-8 continuation bytes take no room.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string printable(const std::string& text) {
  std::string result = text;
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return result;
}

Table::Table(std::vector<std::string> header) : left_(header.size(), false) {
  for (const std::string& cell : header) header_.push_back(printable(cell));
  if (!left_.empty()) left_[0] = true;
}

Table& Table::left(size_t column) {
  left_.at(column) = true;
  return *this;
}

void Table::row(std::vector<std::string> cells) {
  check(cells.size() <= header_.size(), "a row has no more cells than the table has columns");
  cells.resize(header_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

void Table::line() { rows_.emplace_back(); }

std::string Table::markdown() const {
  std::string result;
  const auto print = [&](const std::vector<std::string>& cells) {
    for (const std::string& cell : cells) {
      result += "| ";
      for (const char letter : cell) result += letter == '|' ? "\\|" : std::string(1, letter);
      result += " ";
    }
    result += "|\n";
  };
  print(header_);
  for (const bool left : left_) result += left ? "| --- " : "| ---: ";
  result += "|\n";
  for (const auto& cells : rows_) {
    if (!cells.empty()) print(cells);
  }
  return result;
}

std::string Table::text() const {
  std::vector<size_t> widths;
  size_t total = 0;
  for (size_t c = 0; c < header_.size(); ++c) {
    size_t width = width_of(header_[c]);
    for (const auto& cells : rows_) width = std::max(width, cells.empty() ? 0 : width_of(cells[c]));
    widths.push_back(width);
    total += width + (c > 0 ? 2 : 0);
  }
  std::string result;
  const auto print = [&](const std::vector<std::string>& cells) {
    std::string out;
    for (size_t c = 0; c < cells.size(); ++c) {
      const std::string padding(widths[c] - width_of(cells[c]), ' ');
      out += (c > 0 ? "  " : "") + (left_[c] ? cells[c] + padding : padding + cells[c]);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    result += out + "\n";
  };
  const std::string rule = std::string(total, '-') + "\n";
  print(header_);
  result += rule;
  for (const auto& cells : rows_) {
    if (cells.empty()) result += rule;
    else print(cells);
  }
  return result;
}

}  // namespace espalier
