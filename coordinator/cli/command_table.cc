#include <array>

#include "common/error/error.h"
#include "coordinator/cli/command.h"

namespace diptych {
namespace {

constexpr ProgramMask kPictureFlags = kCliPrompt | kCliPicture | kCliQueue;
constexpr ProgramMask kOwnDaemons = kCliPrivate | kCliTokenizer | kCliMachine;
constexpr ProgramMask kConnected = kCliCommon | kCliConnection | kCliJson;

constexpr ProgramMask kOnJobs = kConnected | kCliSelect | kCliCaller;

constexpr std::array<CommandEntry, 13> kCommands = {{
    {"generate", "PROMPT", "make a picture and wait for it",
     "Makes a picture from a prompt, waits for it and writes it as PNG, JPEG or WebP.\n"
     "With a renderer (--render, DIPTYCH_RENDER or the configuration file) the job goes into its queue.\n"
     "With --model-path alone, encoder and renderer are started here for this run and ended after it.\n"
     "Several pictures: --count N draws N with following seeds, --seeds 7,11,20-23 one with each of these; with\n"
     "one --output FILE.png they are called FILE-1.png to FILE-N.png. Repeat --output to name each.\n"
     "Many prompts: --prompts FILE holds one a line, as it stands or as a JSON object:\n"
     "{\"prompt\": \"a red circle\", \"width\": 256, \"output\": \"circle.png\"}.\n"
     "Its other keys are flags, for this line alone. All lines are checked before the first picture is begun.\n"
     "The file holds a receipt of all that made it; --from-picture repeats it.\n",
     "  diptych generate \"a red circle\" --render 127.0.0.1:7872 --output circle.png\n"
     "  diptych generate \"a red circle\" --model-path models/demo --seed 7 --count 4\n"
     "  diptych generate --prompts prompts.jsonl --seeds 1-3 --output picture.png\n"
     "  diptych generate --from-picture circle.png --steps 20 --output again.png\n"
     "  diptych generate \"a red circle\" --model-path models/demo --save-embeddings circle.safetensors\n",
     kConnected | kPictureFlags | kCliOutput | kCliGenerate | kCliPreview | kOwnDaemons, MakeGenerate},
    {"submit", "PROMPT", "put a job into the queue and return at once",
     "Puts a job into the renderer's queue and prints its id: for watch, fetch and cancel. With --count, --seeds or\n"
     "--prompts several, an id a line. A queue that is full is waited for.",
     "  diptych submit \"a red circle\" --client nightly --priority 5\n", kConnected | kPictureFlags, MakeSubmit},
    {"jobs", "", "list jobs, newest first",
     "Lists the renderer's jobs that have not ended and the newest that have, newest first.",
     "  diptych jobs --state failed --hours 24\n", kConnected | kCliFilter, MakeJobs},
    {"watch", "ID", "follow a job to its end",
     "Follows jobs until they are done, failed or cancelled. Interrupting this command leaves them as they are.",
     "  diptych watch last\n", kOnJobs | kCliPreview, MakeWatch},
    {"fetch", "ID", "write the picture of a job that is done",
     "Writes the pictures of jobs that are done. A job that is still at work is waited for. Of several jobs with one\n"
     "--output FILE.png they are called FILE-1.png to FILE-N.png; in a folder (--output DIR/) each as its job.",
     "  diptych fetch last --output picture.png\n"
     "  diptych fetch --mine --hours 24 --output pictures/\n",
     kOnJobs | kCliOutput | kCliFit, MakeFetch},
    {"cancel", "ID", "end a job",
     "Asks for the end of jobs; it takes effect within one denoising step. The job of another client wants --force.",
     "  diptych cancel last\n  diptych cancel --mine --state queued\n", kOnJobs | kCliForce, MakeCancel},
    {"rm", "ID", "forget a job that has ended, with its picture",
     "Forgets jobs that are done, failed or cancelled, and their pictures. Others must be cancelled first. The job of\n"
     "another client wants --force. On a terminal --all asks before it forgets them; --force does not ask.",
     "  diptych rm --mine --state failed\n", kOnJobs | kCliForce, MakeRemove},
    {"pause", "", "let the renderer's queue rest",
     "From now on the renderer begins no job, also after a restart, until somebody resumes its queue. What is in work\n"
     "is finished; jobs are accepted and wait.",
     "", kConnected | kCliCaller, MakePause},
    {"resume", "", "end a pause of the renderer's queue",
     "The renderer's queue goes on after a pause. The pause of another client wants --force.", "",
     kConnected | kCliCaller | kCliForce, MakeResume},
    {"nodes", "", "show the renderer and its encoders",
     "Shows what the renderer and its encoders have loaded, and how busy they are.", "", kConnected, MakeNodes},
    {"doctor", "", "check this installation and say what to do",
     "Checks the configuration, the programs, this machine, the checkpoint (with --model-path) and the\n"
     "daemons (with --render), one line each. Exit status 1 when something needs attention.",
     "", kConnected | kCliTokenizer | kCliMachine, MakeDoctor},
    {"tokens", "PROMPT", "show the formatted prompt and its token ids",
     "Prints {\"text\": the text that the encoder reads, \"ids\": its tokens} as JSON.\n"
     "Needs the tokenizer of a checkpoint, no daemon.",
     "  diptych tokens \"a red circle\" --model-path models/demo\n", kCliCommon | kCliJson | kCliPrompt | kCliTokenizer,
     MakeTokens},
    {"models", "ACTION PATH", "look at files of weights",
     "inspect says of files and folders what they are, how much memory they take, what is missing in them or foreign,\n"
     "and which option takes them. list DIR says it of all files and checkpoints in a folder and two levels below it,\n"
     "such as ComfyUI's models, a line each. Neither reads more than the headers.\n"
     "verify reads the weights of a checkpoint folder, a part of it or a file anew, compares them with what the daemons\n"
     "remember of them (--fingerprint-cache), and remembers what is there now.\n"
     "Exit status 1 when one cannot be read, or differs.\n",
     "  diptych models inspect z_image_turbo-Q8_0.gguf\n"
     "  diptych models list ComfyUI/models\n"
     "  diptych models verify models/demo\n",
     kCliCommon | kCliJson | kCliModels, MakeModels},
}};

}  // namespace

std::span<const CommandEntry> CommandTable() { return kCommands; }

}  // namespace diptych
