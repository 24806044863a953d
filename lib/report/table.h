#pragma once

#include <initializer_list>
#include <string>
#include <vector>

namespace espalier {

/// A table for people: columns aligned with spaces, two between them, a line under the header.
///     Table table({"", "original", "slimmed"});
///     table.row({"parameters", "1.23 M", "456 k"});
///     std::cout << table.text();
/// The first column is set to the left, the others to the right; left() changes one. Cells may hold UTF-8; control
/// characters, which names from files may have, are shown as '?'.
class Table {
 public:
  explicit Table(std::vector<std::string> header);

  /// Sets a column to the left.
  Table& left(size_t column);
  /// Adds a row; cells that are not given are empty, and more than columns are Error(internal).
  void row(std::vector<std::string> cells);
  /// Adds a line between rows.
  void line();

  size_t rows() const { return rows_.size(); }
  /// The same as a table of Markdown; lines between rows are left out.
  std::string markdown() const;
  /// The whole table, each line ended by '\n', no spaces at line ends.
  std::string text() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;  // an empty one is a line
  std::vector<bool> left_;
};

/// `text` with control characters replaced by '?'.
std::string printable(const std::string& text);

}  // namespace espalier
