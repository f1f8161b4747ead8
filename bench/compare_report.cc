#include "bench/compare_report.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bench/harness/allocators.h"
#include "bench/harness/table.h"

namespace hak_bench {
namespace {

// Ratios of rounds farther apart than this, of their median, do not say how much.
constexpr double kWide = 0.15;
constexpr double kKibPerMb = 1024;
// Less than this is the processes' own noise.
constexpr double kLeastMb = 1;
constexpr std::size_t kWorstRows = 8;

struct Quantity {
    const char *name; // in JSON
    const char *title;
    const char *better; // what a ratio above 1 means
    Figure figure;
    std::function<std::string(double)> text;
};

std::string TimeText(double ns) {
    if (ns < 1000) return absl::StrFormat("%.1f ns", ns);
    if (ns < 1e6) return absl::StrFormat("%.1f µs", ns / 1e3);
    return absl::StrFormat("%.1f ms", ns / 1e6);
}

const std::vector<Quantity> &Quantities() {
    static const auto *quantities = new std::vector<Quantity>{
        {"time", "Time of a malloc and its free, or of a run: the processor's, loop included",
         "hakmem is faster", UnitNs, TimeText},
        {"memory", "Memory: most that was resident, of lives the average, MB", "hakmem holds less",
         HeldMb, [](double mb) { return absl::StrFormat("%.1f", mb); }},
    };
    return *quantities;
}

double ValueOf(const ChildResult &round, const std::string &name) {
    const auto found = round.values.find(name);
    return found == round.values.end() ? 0 : found->second;
}

// The rounds' values without the quarters at both ends: one slow round says nothing.
Spread MiddleOf(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const auto cut = static_cast<std::ptrdiff_t>(values.size() / 4);
    return SpreadOf({values.begin() + cut, values.end() - cut});
}

std::vector<double> RoundsOf(const Row &row, const Figure &figure) {
    std::vector<double> values;
    for (const ChildResult &round : row.rounds) values.push_back(figure(round));
    return values;
}

char MarkOf(const Spread &ratios) {
    if (ratios.max - ratios.min <= kWide * ratios.median) return ' ';
    return ratios.min < 1 && ratios.max > 1 ? '?' : '~';
}

bool HasAll(const CaseSummary &summary, const Figure &figure) {
    for (const Row &row : summary.rows) {
        for (const double value : RoundsOf(row, figure)) {
            if (!(value > 0) || !std::isfinite(value)) return false;
        }
    }
    return true;
}

void CompareToPeers(const Figure &figure, Comparison *out) {
    const std::vector<Row> &rows = out->summary->rows;
    const Row *subject = nullptr;
    std::size_t best = rows.size();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i].allocator.name == kSubject) {
            subject = &rows[i];
        } else if (best == rows.size() || out->values[i] < out->values[best]) {
            best = i;
        }
    }
    if (best == rows.size()) return;
    out->best_peer = rows[best].allocator.name;
    if (subject == nullptr) return;
    std::vector<double> ratios;
    for (std::size_t i = 0; i < subject->rounds.size(); ++i) {
        ratios.push_back(figure(rows[best].rounds[i]) / figure(subject->rounds[i]));
    }
    // Not the medians' ratio: these may be of rounds that another work on the machine told apart.
    out->ratios = MiddleOf(ratios);
    out->ratio = out->ratios.median;
    out->mark = MarkOf(out->ratios);
}

std::string TableOf(const std::vector<Comparison> &comparisons, const Quantity &quantity) {
    std::vector<std::string> header = {"row"};
    for (const Row &row : comparisons[0].summary->rows) header.push_back(row.allocator.name);
    header.insert(header.end(), {"best peer", "ratio", "rounds"});
    Table table(header);
    for (const Comparison &one : comparisons) {
        std::vector<std::string> cells = {one.summary->bench_case.title};
        for (const double value : one.values) cells.push_back(quantity.text(value));
        const bool compared = one.ratio > 0;
        cells.push_back(one.best_peer.empty() ? "-" : one.best_peer);
        cells.push_back(compared ? absl::StrFormat("%.2f%c", one.ratio, one.mark) : "- ");
        cells.push_back(compared ? absl::StrFormat("%.2f–%.2f", one.ratios.min, one.ratios.max)
                                 : "-");
        table.AddRow(cells);
    }
    return table.ToString();
}

std::vector<double> RatiosOf(const std::vector<Comparison> &comparisons,
                             const std::function<bool(const Comparison &)> &wanted) {
    std::vector<double> ratios;
    for (const Comparison &one : comparisons) {
        if (one.ratio > 0 && wanted(one)) ratios.push_back(one.ratio);
    }
    return ratios;
}

std::string GroupNameOf(const Comparison &one) {
    const std::string &name = one.summary->bench_case.name;
    return name.substr(0, name.find('.'));
}

std::string GroupLine(const std::vector<Comparison> &comparisons) {
    std::vector<std::string> parts;
    std::string last;
    for (const Comparison &one : comparisons) {
        const std::string group = GroupNameOf(one);
        if (group == last) continue;
        last = group;
        const std::vector<double> ratios = RatiosOf(
            comparisons, [&](const Comparison &other) { return GroupNameOf(other) == group; });
        parts.push_back(absl::StrFormat("%s %.2f", group, GeometricMean(ratios)));
    }
    return "By group: " + absl::StrJoin(parts, ", ") + ".\n";
}

// Each allocator against the best of all in every row: 1 is who is the best of all in each.
std::string AllocatorLine(const std::vector<Comparison> &comparisons) {
    std::vector<std::string> parts;
    const std::vector<Row> &rows = comparisons[0].summary->rows;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        std::vector<double> times;
        for (const Comparison &one : comparisons) {
            times.push_back(one.values[i] /
                            *std::min_element(one.values.begin(), one.values.end()));
        }
        parts.push_back(absl::StrFormat("%s %.2f", rows[i].allocator.name, GeometricMean(times)));
    }
    return "Times the row's best, geometric mean: " + absl::StrJoin(parts, ", ") + ".\n";
}

std::vector<const Comparison *> WorstOf(const std::vector<Comparison> &comparisons) {
    std::vector<const Comparison *> worst;
    for (const Comparison &one : comparisons) {
        if (one.ratio > 0 && one.ratio < 1) worst.push_back(&one);
    }
    std::sort(worst.begin(), worst.end(),
              [](const Comparison *a, const Comparison *b) { return a->ratio < b->ratio; });
    if (worst.size() > kWorstRows) worst.resize(kWorstRows);
    return worst;
}

std::string WorstLine(const std::vector<Comparison> &comparisons) {
    std::vector<std::string> parts;
    for (const Comparison *one : WorstOf(comparisons)) {
        const std::string mark = one->mark == ' ' ? "" : std::string(1, one->mark);
        parts.push_back(absl::StrFormat("%s %.2f%s (%s)", one->summary->bench_case.name, one->ratio,
                                        mark, one->best_peer));
    }
    return parts.empty() ? "No row is behind its best peer.\n"
                         : "Worst rows: " + absl::StrJoin(parts, ", ") + ".\n";
}

// How far the rounds of one allocator in one row are apart.
std::string NoiseLine(const std::vector<Comparison> &comparisons, const Figure &figure) {
    std::vector<double> spreads;
    for (const Comparison &one : comparisons) {
        for (const Row &row : one.summary->rows) {
            const Spread spread = MiddleOf(RoundsOf(row, figure));
            spreads.push_back((spread.max - spread.min) / spread.median);
        }
    }
    const Spread all = SpreadOf(spreads);
    const auto undecided = std::count_if(comparisons.begin(), comparisons.end(),
                                         [](const Comparison &one) { return one.mark == '?'; });
    return absl::StrFormat(
        "Noise: rounds of one allocator in one row are %.1f %% apart (median), %.0f %% at worst; "
        "in %d of %d rows they do not say who is better.\n",
        100 * all.median, 100 * all.max, undecided, comparisons.size());
}

std::string MeansText(const std::vector<Comparison> &comparisons, const Quantity &quantity) {
    const std::vector<double> all =
        RatiosOf(comparisons, [](const Comparison & /*one*/) { return true; });
    if (all.empty()) return "Nothing to compare: hakmem or its peers were not run.\n";
    const std::vector<double> sure =
        RatiosOf(comparisons, [](const Comparison &one) { return one.mark != '?'; });
    return absl::StrFormat("Geometric mean of the ratios: %.3f over %d rows, %.3f over the %d "
                           "rows that say who is better.\n",
                           GeometricMean(all), all.size(), GeometricMean(sure), sure.size()) +
           GroupLine(comparisons) + AllocatorLine(comparisons) + WorstLine(comparisons) +
           NoiseLine(comparisons, quantity.figure);
}

std::string VersionsText(const CaseSummary &summary) {
    std::string out;
    for (const Row &row : summary.rows) {
        out += absl::StrFormat("  %s: %s (%s)\n", row.allocator.name,
                               row.malloc_version.empty() ? "tells no version" : row.malloc_version,
                               row.malloc_path);
    }
    std::ifstream file("/proc/loadavg");
    std::string load;
    std::getline(file, load, ' ');
    return out + "  load of the machine in the last minute: " + load + "\n";
}

} // namespace

double UnitNs(const ChildResult &round) {
    if (round.values.count("mean_mb") != 0) return 0; // a life waits most of its time
    const double own = ValueOf(round, "unit_ns");
    if (own > 0) return own;
    return ValueOf(round, "worked_ns") * 2 / ValueOf(round, "operations");
}

double HeldMb(const ChildResult &round) {
    const double mean = ValueOf(round, "mean_mb");
    const double program = ValueOf(round, "program_peak_kib") / kKibPerMb;
    const double peak = ValueOf(round, "peak_kib") / kKibPerMb;
    const double held = mean > 0 ? mean : program > 0 ? program : peak;
    return held < kLeastMb ? 0 : held;
}

std::vector<Comparison> CompareAll(const std::vector<CaseSummary> &summaries,
                                   const Figure &figure) {
    std::vector<Comparison> out;
    for (const CaseSummary &summary : summaries) {
        if (!HasAll(summary, figure)) continue;
        Comparison one;
        one.summary = &summary;
        for (const Row &row : summary.rows) {
            one.values.push_back(SpreadOf(RoundsOf(row, figure)).median);
        }
        CompareToPeers(figure, &one);
        out.push_back(one);
    }
    return out;
}

double GeometricMean(const std::vector<double> &values) {
    if (values.empty()) return 0;
    double sum = 0;
    for (const double value : values) sum += std::log(value);
    return std::exp(sum / static_cast<double>(values.size()));
}

std::string CompareText(const std::vector<CaseSummary> &summaries,
                        const std::vector<std::string> &missing) {
    std::string out = VersionsText(summaries[0]) + "\n";
    for (const Quantity &quantity : Quantities()) {
        const std::vector<Comparison> comparisons = CompareAll(summaries, quantity.figure);
        if (comparisons.empty()) continue;
        out +=
            absl::StrFormat("%s; ratio: best peer's over hakmem's in the same round, above 1 %s\n",
                            quantity.title, quantity.better) +
            TableOf(comparisons, quantity) + "\n" + MeansText(comparisons, quantity) + "\n";
    }
    out += "Ratio: the median of the rounds. Rounds: without the outer quarters. ~ they are more "
           "than 15 % apart, "
           "? and on both sides of 1.\n";
    for (const std::string &name : missing) {
        out += "Not run: " + name + " is not installed.\n";
    }
    return out;
}

void AddCompareJson(const std::vector<CaseSummary> &summaries,
                    const std::vector<std::string> &missing, JsonWriter *json) {
    json->Key("compare");
    json->BeginObject();
    for (const Quantity &quantity : Quantities()) {
        const std::vector<Comparison> comparisons = CompareAll(summaries, quantity.figure);
        json->Key(quantity.name);
        json->BeginObject();
        json->Field("geometric_mean",
                    GeometricMean(RatiosOf(comparisons, [](const Comparison &) { return true; })));
        json->Key("rows");
        json->BeginArray();
        for (const Comparison &one : comparisons) {
            json->BeginObject();
            json->Field("name", one.summary->bench_case.name);
            json->Field("title", one.summary->bench_case.title);
            json->Key("values");
            json->BeginObject();
            for (std::size_t i = 0; i < one.values.size(); ++i) {
                json->Field(one.summary->rows[i].allocator.name, one.values[i]);
            }
            json->EndObject();
            json->Field("best_peer", one.best_peer);
            json->Field("ratio", one.ratio);
            json->Field("ratio_low", one.ratios.min);
            json->Field("ratio_high", one.ratios.max);
            json->Field("mark", std::string(1, one.mark));
            json->EndObject();
        }
        json->EndArray();
        json->EndObject();
    }
    json->Key("missing_programs");
    json->BeginArray();
    for (const std::string &name : missing) json->String(name);
    json->EndArray();
    json->EndObject();
}

} // namespace hak_bench
