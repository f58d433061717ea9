// What the queue costs: Submit with a sync for each answer, beside the same number of rows in a bare SQLite loop with
// full sync, in turns in one run; a start with many stored jobs; decisions with many waiting ones; and how much of its
// time a painter is busy while encoding goes ahead. Then a simulation of who waits how long.
//   job_queue [--folder /tmp] [--jobs 300] [--clients 8] [--stored 100000] [--waiting 10000] [--rounds 3]
#include "render_node/jobs/job_queue.h"

#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "bench/support/contender.h"
#include "common/concurrency/clock.h"
#include "render_node/jobs/checkpoint_store.h"
#include "render_node/jobs/job_runner.h"
#include "render_node/jobs/recovery.h"
#include "render_node/jobs/sqlite_database.h"
#include "render_node/jobs/sqlite_job_store.h"

namespace {

using namespace diptych;

double Ms(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

const LeaseOwner kOwner{"bench", "life"};

class Folder {
 public:
  explicit Folder(const std::string& parent) {
    std::string name = parent + "/diptych-bench-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

JobSpec Spec(int job) {
  JobSpec spec;
  spec.prompt.emplace();
  spec.prompt->user = "a lighthouse in the fog, seen from the sea at dusk, number " + std::to_string(job);
  spec.width = spec.height = 1024;
  spec.steps = 9;
  spec.seed = static_cast<uint64_t>(job);
  spec.client = "client" + std::to_string(job % 50);
  return spec;
}

void Submit(JobQueue& queue, int first, int count) {
  for (int job = first; job < first + count; ++job) {
    if (!queue.Submit(Spec(job), {}).ok()) std::abort();
  }
}

// The same rows with the means of SQLite alone: one transaction and one sync each.
double BareLoop(const std::filesystem::path& file, int jobs) {
  SqliteDatabase database(file);
  database.Text("PRAGMA journal_mode = WAL");
  database.Execute("PRAGMA synchronous = FULL; CREATE TABLE job (id TEXT PRIMARY KEY, spec TEXT)");
  SqliteStatement insert(database, "INSERT INTO job VALUES (?, ?)");
  const std::string spec(450, 'x');  // as long as a job's row
  return Ms([&] {
    for (int job = 0; job < jobs; ++job) SqliteQuery(insert, std::to_string(job), spec).Run();
  });
}

void MeasureSubmit(const std::string& parent, int jobs, int clients, int waiting, int rounds) {
  const SystemClock clock;
  std::vector<double> bare, alone, together;
  for (int round = 0; round < rounds; ++round) {
    const Folder folder(parent);
    bare.push_back(1000 * jobs / BareLoop(folder.path() / "bare.sqlite", jobs));
    const StateFolder state(folder.path() / "state");
    SqliteJobStore store(state, SystemRandom());
    ConditioningFiles uploads(state.conditioning());
    for (int job = 0; job < waiting; ++job) store.Accept(Spec(1'000'000 + job), {}, clock.UnixMs());
    store.Sync();
    FairScheduler scheduler;
    JobQueue queue({.store = store,
                    .uploads = uploads,
                    .owner = kOwner,
                    .scheduler = scheduler,
                    .clock = clock,
                    .limits = {.waiting = 1'000'000}});
    alone.push_back(1000 * jobs / Ms([&] { Submit(queue, 0, jobs); }));
    together.push_back(1000 * jobs / Ms([&] {
                         std::vector<std::jthread> threads;
                         for (int client = 0; client < clients; ++client) {
                           threads.emplace_back([&, client] { Submit(queue, jobs * (client + 1), jobs / clients); });
                         }
                       }));
  }
  std::printf(
      "submit to %d waiting jobs, synced: %.0f/s by one client, %.0f/s by %d at once; a bare SQLite loop %.0f/s: ratio "
      "%.2f and %.2f\n",
      waiting, Median(alone), Median(together), clients, Median(bare), Median(alone) / Median(bare),
      Median(together) / Median(bare));
}

void MeasureStart(const std::string& parent, int stored, int waiting) {
  const Folder folder(parent);
  const SystemClock clock;
  {
    const StateFolder state(folder.path() / "state");
    const SqliteJobStore store(state, SystemRandom());
  }
  {
    SqliteDatabase database(folder.path() / "state/jobs.sqlite");
    const auto insert = [&](int count, const char* job_state, int from) {
      database.Execute(
          "WITH RECURSIVE n(i) AS (SELECT " + std::to_string(from) + " UNION ALL SELECT i + 1 FROM n WHERE i < " +
          std::to_string(from + count - 1) +
          ") INSERT INTO job (id, state, client, priority, attempt, step, accepted_ms, finished_ms, error_code, "
          "error, detail, conditioning, negative_conditioning, spec, timings) SELECT "
          "printf('01ARYZ6S41%016d', i), '" +
          job_state + "', 'client' || (i % 50), 0, 0, 0, i, i, '', '', '', '', '', '{\"prompt\":{\"user\":\"" +
          std::string(300, 'x') + "\"},\"long_prompt_mode\":\"pool\"}', '{}' FROM n");
    };
    insert(stored, "done", 1);
    insert(waiting, "queued", stored + 1);
  }
  const double start_ms = Ms([&] {
    const StateFolder state(folder.path() / "state");
    SqliteJobStore store(state, SystemRandom());
    RecoverInterrupted(
        store, kOwner, [](const std::string&) { return 0; }, clock.UnixMs());
    FairScheduler scheduler;
    ConditioningFiles uploads(state.conditioning());
    const JobQueue queue({.store = store,
                          .uploads = uploads,
                          .owner = kOwner,
                          .scheduler = scheduler,
                          .clock = clock,
                          .limits = {.waiting = 1'000'000}});
  });
  FairScheduler scheduler;
  for (int job = 0; job < waiting; ++job) {
    scheduler.Add(
        {.id = std::to_string(1'000'000 + job), .client = "client" + std::to_string(job % 50), .priority = job % 7});
  }
  std::vector<double> take, place;
  for (int i = 0; i < 1000; ++i) {
    std::optional<QueuedJob> job;
    take.push_back(Ms([&] { job = scheduler.Take(); }));
    const std::string id = std::to_string(2'000'000 + i);
    place.push_back(Ms([&] {
      scheduler.Add({.id = id, .client = job->client, .priority = job->priority});
      scheduler.Ahead(id);
    }));
  }
  std::printf(
      "start with %d stored and %d waiting jobs: %.0f ms; next of %d: %.4f ms, add and position: %.4f ms (medians)\n",
      stored, waiting, start_ms, waiting, Median(take), Median(place));
}

// Encoder and renderer that take a given time and no core.
class Source final : public ConditioningSource {
 public:
  FetchResult Fetch(const FetchRequest&, const CancelToken&, const std::function<void(const std::string&)>&) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    FetchResult result;
    result.conditioning.header.rows = result.conditioning.header.width = 2;
    result.conditioning.bytes.resize(8);
    return result;
  }
};

class Renderer final : public PictureRenderer {
 public:
  const RendererFacts& facts() const override { return facts_; }
  Picture Render(const RenderRequest& request) override {
    const RenderParameters& parameters = request.parameters;
    const RenderHooks& hooks = request.hooks;
    const CancelToken& cancel = request.cancel;
    busy_ms += Ms([&] {
      for (int32_t step = 1; step <= parameters.steps; ++step) {
        cancel.ThrowIfCancelled();
        std::this_thread::sleep_for(std::chrono::milliseconds(40));
        hooks.on_latent({step, 16, 128, 128, std::vector<float>(16 * 128 * 128)});
        hooks.on_progress({RenderStage::kStep, step, parameters.steps, 0, 40});
      }
    });
    return {1, 1, {1, 2, 3}};
  }
  double busy_ms = 0;

 private:
  RendererFacts facts_;
};

void MeasureBusy(const std::string& parent) {
  constexpr int kJobs = 8;
  const Folder folder(parent);
  const SystemClock clock;
  const StateFolder state(folder.path() / "state");
  SqliteJobStore store(state, SystemRandom());
  PictureStore pictures(state.pictures());
  CheckpointStore checkpoints(state.checkpoints());
  InputStore inputs(state.inputs());
  FairScheduler scheduler;
  ConditioningFiles uploads(state.conditioning());
  JobQueue queue({.store = store,
                  .uploads = uploads,
                  .owner = kOwner,
                  .scheduler = scheduler,
                  .clock = clock,
                  .limits = {.waiting = 1000}});
  Source source;
  Renderer renderer;
  std::vector<std::string> ids;
  for (int job = 0; job < kJobs; ++job) ids.push_back(queue.Submit(Spec(job), {})->id);
  double first_ms = 0;
  JobRunner runner({.queue = queue,
                    .store = store,
                    .pictures = pictures,
                    .checkpoints = checkpoints,
                    .inputs = inputs,
                    .source = source,
                    .renderer = renderer,
                    .clock = clock,
                    .finish = [](const FinishRequest&) {
                      return std::vector<uint8_t>{1, 2, 3};
                    }});
  const auto ended = [&](const std::string& id) {
    const auto watch = *queue.Watch(id);
    Job job;
    while (watch->Next(std::chrono::seconds(60), &job) == JobWatch::Outcome::kJob) {
    }
  };
  const auto begun = [&] { return queue.Get(ids[0])->state == JobState::kRendering; };
  first_ms = Ms([&] {
    while (!begun()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  const double all_ms = Ms([&] {
    for (const std::string& id : ids) ended(id);
  });
  runner.Stop();
  std::printf(
      "%d jobs of 360 ms in the renderer and 150 ms in the encoder: first begun after %.0f ms, then the renderer "
      "was busy %.1f %% of %.0f ms\n",
      kJobs, first_ms, 100 * renderer.busy_ms / all_ms, all_ms);
}

// One picture a tick, arrivals at random: a client that floods, three that send in bursts, six that come seldom. Two
// things are counted. How long a job waits that found no other of its client: round-robin promises one picture of each
// other client at most. How far a client that always has something waiting falls behind a painter who divides every
// tick equally among those who wait: round-robin promises at most 1/2 + 1/3 + ... + 1/n pictures, 1.93 for ten clients.
void SimulateFairness(int arrivals) {
  struct Client {
    std::string name;
    double weight = 0;
    int jobs = 0;
    double due =
        0;  // pictures that equal shares would have given it since it last had nothing waiting, less those it got
    double behind = 0;               // of that, at most
    int64_t longest_first_wait = 0;  // ticks
    std::map<std::string, int64_t> firsts = {};
  };
  std::vector<Client> clients;
  clients.push_back({"flood", 60});
  for (int i = 1; i <= 3; ++i) clients.push_back({"burst " + std::to_string(i), 10});
  for (int i = 1; i <= 6; ++i) clients.push_back({"seldom " + std::to_string(i), 1.5});
  std::vector<double> weights;
  for (const Client& client : clients) weights.push_back(client.weight);
  std::mt19937 random(1);
  std::discrete_distribution<size_t> pick(weights.begin(), weights.end());
  FairScheduler scheduler;
  std::map<std::string, size_t> client_of;
  int arrived = 0;
  for (int64_t tick = 0; arrived < arrivals || scheduler.size() > 0; ++tick) {
    // Faster than they are served until all are there.
    for (int i = static_cast<int>(random() % 4); i > 0 && arrived < arrivals; --i) {
      const size_t index = pick(random);
      Client& client = clients[index];
      const std::string id = std::to_string(1'000'000 + arrived++);
      if (scheduler.waiting_of(client.name) == 0) client.firsts[id] = tick;
      scheduler.Add({.id = id, .client = client.name});
      client_of[id] = index;
      ++client.jobs;
    }
    const auto waits = [&](const Client& client) { return scheduler.waiting_of(client.name) > 0; };
    const auto waiting = std::count_if(clients.begin(), clients.end(), waits);
    for (Client& client : clients) client.due = waits(client) ? client.due + 1.0 / static_cast<double>(waiting) : 0;
    const auto job = scheduler.Take();
    if (!job) continue;
    Client& client = clients[client_of[job->id]];
    client.due -= 1;
    if (const auto first = client.firsts.find(job->id); first != client.firsts.end()) {
      client.longest_first_wait = std::max(client.longest_first_wait, tick - first->second);
    }
    for (Client& each : clients) each.behind = std::max(each.behind, each.due);
  }
  std::printf("%d random arrivals of %zu clients, one picture a tick:\n  %-10s %6s  %-26s  %s\n", arrivals,
              clients.size(), "client", "jobs", "longest wait without own", "most behind an equal share");
  for (const Client& client : clients) {
    std::printf("  %-10s %6d  %4lld ticks                  %.2f pictures\n", client.name.c_str(), client.jobs,
                static_cast<long long>(client.longest_first_wait), client.behind);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> arguments = diptych::bench::Arguments(argc, argv,
                                                                           {{"folder", "/tmp"},
                                                                            {"jobs", "300"},
                                                                            {"clients", "8"},
                                                                            {"stored", "100000"},
                                                                            {"waiting", "10000"},
                                                                            {"rounds", "3"}});
  const std::string& folder = arguments["folder"];
  MeasureSubmit(folder, std::stoi(arguments["jobs"]), std::stoi(arguments["clients"]), std::stoi(arguments["waiting"]),
                std::stoi(arguments["rounds"]));
  MeasureStart(folder, std::stoi(arguments["stored"]), std::stoi(arguments["waiting"]));
  MeasureBusy(folder);
  SimulateFairness(10'000);
}
