#pragma once

#include <span>
#include <string>
#include <string_view>

namespace espalier {

/// Edits (insert, delete, replace, swap neighbours) that turn one word into the other.
size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to a mistyped word, or an empty string where none is near (more than a third of the word
/// differs). Ties go to the first.
std::string nearest_word(std::string_view word, std::span<const std::string> candidates);

/// "did you mean 'prune'?", or `otherwise` where no candidate is near.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates, std::string otherwise = "");

}  // namespace espalier
