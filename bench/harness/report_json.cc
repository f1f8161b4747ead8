#include "bench/harness/report_json.h"

#include <string>
#include <vector>

#include "bench/harness/json.h"

namespace hak_bench {
namespace {

void WriteSpread(JsonWriter *json, const std::string &name, const Spread &spread) {
    json->Key(name);
    json->BeginObject();
    json->Field("median", spread.median);
    json->Field("min", spread.min);
    json->Field("max", spread.max);
    json->EndObject();
}

void WriteMachine(JsonWriter *json, const Machine &machine) {
    json->Key("machine");
    json->BeginObject();
    json->Field("cpu", machine.cpu);
    json->Field("kernel", machine.kernel);
    json->Field("cores", static_cast<double>(machine.cores));
    json->Field("thp", machine.thp);
    json->EndObject();
}

void WriteOptions(JsonWriter *json, const Options &options) {
    json->Key("options");
    json->BeginObject();
    json->Field("cycles", static_cast<double>(options.cycles));
    json->Field("threads", options.threads);
    json->Field("rounds", options.rounds);
    // As text: a double would round a large seed.
    json->Field("seed", std::to_string(options.seed));
    json->Field("allocators", options.allocators);
    json->EndObject();
}

void WriteAllocators(JsonWriter *json, const CaseSummary &any_case) {
    json->Key("allocators");
    json->BeginArray();
    for (const Row &row : any_case.rows) {
        json->BeginObject();
        json->Field("name", row.allocator.name);
        json->Field("preload", row.allocator.path);
        json->Field("malloc_path", row.malloc_path);
        json->Field("version", row.malloc_version);
        json->Key("environment");
        json->BeginArray();
        for (const std::string &variable : row.allocator.environment) json->String(variable);
        json->EndArray();
        json->EndObject();
    }
    json->EndArray();
}

// hakmem's slab requests in the timed part, medians over the rounds.
void WriteSlabs(JsonWriter *json, const Row &row) {
    if (row.rounds[0].values.count("hak_warm_hits") == 0) return;
    const double hits = row.Median("hak_warm_hits");
    const double requests = hits + row.Median("hak_warm_misses");
    json->Key("hakmem");
    json->BeginObject();
    json->Field("slab_requests", requests);
    json->Key("warm_pool_hit_rate");
    if (requests > 0) {
        json->Number(hits / requests);
    } else {
        json->Null();
    }
    for (const char *stage : {"partial", "resident", "purged", "cached", "mapped"}) {
        json->Field(std::string("stage_") + stage, row.Median(std::string("hak_stage_") + stage));
    }
    json->EndObject();
}

void WriteRow(JsonWriter *json, const Row &row) {
    json->BeginObject();
    json->Field("allocator", row.allocator.name);
    WriteSpread(json, "mops_per_second", row.mops);
    WriteSpread(json, "ns_per_pair", row.ns_pair);
    WriteSpread(json, "net_ns_per_pair", row.net_ns_pair);
    json->Key("ratio_to_best_peer");
    if (row.of_best_peer > 0) {
        json->Number(row.of_best_peer);
    } else {
        json->Null();
    }
    json->Field("peak_mb", row.peak_mb);
    json->Field("live_mb", row.live_mb);
    json->Field("rest_mb", row.rest_mb);
    json->Field("page_faults", row.faults);
    json->Field("kernel_share", row.kernel_share);
    WriteSlabs(json, row);
    json->Key("rounds");
    json->BeginArray();
    for (const ChildResult &round : row.rounds) {
        json->BeginObject();
        for (const auto &[name, value] : round.values) json->Field(name, value);
        json->EndObject();
    }
    json->EndArray();
    json->EndObject();
}

void WriteCase(JsonWriter *json, const CaseSummary &summary) {
    json->BeginObject();
    json->Field("name", summary.bench_case.name);
    json->Field("title", summary.bench_case.title);
    json->Key("params");
    json->BeginObject();
    for (const auto &[name, value] : summary.bench_case.params) {
        json->Field(name, static_cast<double>(value));
    }
    json->EndObject();
    json->Field("best_peer", summary.best_peer);
    json->Key("results");
    json->BeginArray();
    for (const Row &row : summary.rows) WriteRow(json, row);
    json->EndArray();
    json->EndObject();
}

} // namespace

std::string JsonReport(const Bench &bench, const Options &options,
                       const std::vector<CaseSummary> &summaries, const Machine &machine) {
    JsonWriter json;
    json.BeginObject();
    json.Field("bench", bench.name);
    WriteMachine(&json, machine);
    WriteOptions(&json, options);
    WriteAllocators(&json, summaries[0]);
    json.Key("cases");
    json.BeginArray();
    for (const CaseSummary &summary : summaries) WriteCase(&json, summary);
    json.EndArray();
    json.Key("verdict");
    json.BeginArray();
    for (const std::string &sentence : Verdict(summaries)) json.String(sentence);
    json.EndArray();
    if (bench.add_json) bench.add_json(summaries, &json);
    json.EndObject();
    return json.ToString();
}

} // namespace hak_bench
