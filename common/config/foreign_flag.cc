#include "common/config/foreign_flag.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/options.h"
#include "common/config/unknown_name.h"
#include "common/config/value_text.h"

namespace diptych {
namespace {

struct Habit {
  std::string_view names;   // without dashes, words joined by '_', comma-separated
  std::string_view needs;   // the flag that the advice is about; empty: none
  std::string_view advice;  // VALUE stands for what was given
};

constexpr Habit kHabits[] = {
    {"guidance,cfg_guidance,true_cfg_scale,distilled_guidance", "--guidance-scale", "did you mean --guidance-scale?"},
    {"sampler,sampling_method,sampler_name,sampling,samplers,scheduler,schedule,scheduler_type", "--steps",
     "sampler and schedule belong to the model, which is painted with Euler steps; --steps and --shift change it"},
    {"num_steps,sample_steps,sampling_steps,inference_steps,iterations,ddim_steps", "--steps", "did you mean --steps?"},
    {"b,batch,batch_size,batch_count,n_iter,num_images,num_images_per_prompt,n_samples,num,number,images", "--count",
     "several pictures are --count N"},
    {"resolution,res,dimensions,dims,image_size", "--size", "did you mean --size, as in --size 1024x768?"},
    {"aspect_ratio,ar", "--size", "say both sides: --size 1024x768"},
    {"outdir,output_dir,out_dir,output_path,save_path,folder", "--output", "a folder is --output DIR/"},
    {"file,f,from_file,prompt_list", "--prompts", "many prompts, one a line, are --prompts FILE"},
    {"api_key,key,token,auth,password", "",
     "there are no keys; who may come in is said by certificates: --tls-cert, --tls-key, --tls-ca (docs/security.md)"},
    {"host,port,ip,server_host,server_port", "--render", "one flag takes both: --render HOST:PORT"},
    {"server,url,api_url,endpoint,address,renderer,remote,connect", "--render", "did you mean --render HOST:PORT?"},
    {"host,port,ip,bind,address", "--listen", "one flag takes both: --listen HOST:PORT"},
    {"dtype,type,precision,fp16,bf16,half,fp32", "--torch-dtype", "the number format is --torch-dtype"},
    {"device,gpu,cuda,cpu,ngl,n_gpu_layers,gpu_layers,main_gpu,clip_on_cpu,vae_on_cpu,offload_to_cpu,backend",
     "--dit-device", "each part has a device of its own: --text-encoder-device, --dit-device and --vae-device"},
    {"device,gpu,cuda,cpu,ngl,n_gpu_layers,gpu_layers,main_gpu,clip_on_cpu,backend", "--text-encoder-device",
     "the text encoder's device is --text-encoder-device"},
    {"diffusion_model,unet,dit,transformer,unet_path", "--transformer-path", "did you mean --transformer-path?"},
    {"vae,vae_dir", "--vae-path", "did you mean --vae-path?"},
    {"llm,clip,clip_l,t5xxl,text_encoder,qwen,qwen2vl,llm_path", "--text-encoder-path",
     "did you mean --text-encoder-path?"},
    {"model_dir,model_id,ckpt,checkpoint,ckpt_path,pretrained_model_name_or_path,hf_repo,repo", "--model-path",
     "did you mean --model-path, a checkpoint folder?"},
    {"vae_tiling,tiling,enable_vae_tiling", "--tiled-vae", "did you mean --tiled-vae?"},
    {"init_image,i,image,img,source", "--img2img",
     "a picture to begin with is --img2img FILE, with a mask --inpaint FILE"},
    {"denoise,denoising_strength", "--strength", "did you mean --strength?"},
    {"mask_image", "--mask", "did you mean --mask FILE?"},
    {"outpaint,pad", "--extend", "did you mean --extend LEFT,TOP,RIGHT,BOTTOM, with --img2img FILE?"},
    {"lora,lora_model_dir,loras,control_net,controlnet,control_image,embd_dir,upscale_model", "--steps",
     "that does not exist yet in Diptych"},
    {"device,gpu,cuda,cpu,ngl,n_gpu_layers,gpu_layers,main_gpu,clip_on_cpu,"
     "vae_on_cpu,offload_to_cpu,backend,dit_device,vae_device,text_encoder_device",
     "--render",
     "devices are chosen where the daemons are started: diptych-renderd --dit-device cuda, diptych-encoderd "
     "--text-encoder-device cuda"},
    {"mg,sm,split_mode,ts,tensor_split,fa,flash_attn,diffusion_fa,no_mmap,mmap,mlock,nkvo", "",
     "that does not exist in Diptych, which maps its weights and chooses its kernels itself"},
    {"sampler,sampling_method,sampler_name,sampling,samplers,scheduler,schedule,scheduler_type,cfg_scale,cfg,guidance,"
     "steps,seed,width,height,size",
     "--render", "it belongs to a picture: diptych generate --help lists what it takes"},
    {"m,model,model_path,diffusion_model,vae,llm,ckpt,checkpoint,hf_repo,repo,lora,vae_path", "--render",
     "the model is chosen where the daemons are started (diptych-renderd --model-path DIR), or for one run by diptych "
     "generate --model-path DIR"},
    {"m,model,diffusion_model,unet,dit,vae,llm,ckpt,checkpoint,hf_repo,repo,transformer", "--model-path",
     "the checkpoint folder is --model-path DIR"},
    {"t,n_threads,num_threads,nthreads", "--threads", "did you mean --threads?"},
    {"c,ctx_size,context_size,n_ctx,temp,temperature,top_k,top_p,n_predict", "",
     "that is for language models that write; the encoder reads a prompt once"},
    {"clip_skip", "--hidden-layer", "the text encoder's layer is --hidden-layer"},
    {"log,loglevel,verbosity", "--log-level", "did you mean --log-level?"},
    {"data_dir,db,database", "--state-dir", "did you mean --state-dir?"},
};

bool Knows(const std::vector<std::string>& known, std::string_view flag) {
  return flag.empty() || std::find(known.begin(), known.end(), std::string(flag)) != known.end();
}

// "3.5"
std::string NumberText(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", number);
  return text;
}

// Their scale of 1 is our 0: the prediction for the prompt alone.
std::string ScaleAdvice(std::string_view flag, const std::string& value) {
  const std::string rule =
      "A1111, ComfyUI and stable-diffusion.cpp count guidance from 1, Diptych and diffusers' Z-Image from 0: ";
  double theirs = 0;
  if (!absl::SimpleAtod(value, &theirs)) return rule + "write --guidance-scale and 1 less";
  return absl::StrCat(rule, std::string(flag), " ", value, " is --guidance-scale ",
                      NumberText(std::max(0.0, theirs - 1)));
}

}  // namespace

std::optional<std::string> ForeignFlagAdvice(std::string_view flag, const std::string& value,
                                             const std::vector<std::string>& known) {
  const std::string name = BareName(flag);
  if ((name == "cfg" || name == "cfg_scale") && Knows(known, "--guidance-scale")) return ScaleAdvice(flag, value);
  for (const Habit& habit : kHabits) {
    const std::vector<std::string> names = SplitCommas(habit.names);
    if (std::find(names.begin(), names.end(), name) != names.end() && Knows(known, habit.needs)) {
      return std::string(habit.advice);
    }
  }
  return std::nullopt;
}

std::string WhoTakesFlag(std::string_view flag) {
  ProgramMask programs = 0;
  for (const OptionInfo* info : AllOptions()) {
    const std::vector<std::string> aliases = SplitCommas(info->aliases);
    if (info->flag == flag || std::find(aliases.begin(), aliases.end(), flag) != aliases.end())
      programs |= info->programs;
  }
  std::vector<std::string> names;
  if ((programs & kEncoderd) != 0) names.emplace_back("diptych-encoderd");
  if ((programs & kRenderd) != 0) names.emplace_back("diptych-renderd");
  if ((programs & kCliAll) != 0) names.emplace_back("other commands of diptych");
  return names.empty() ? "" : absl::StrCat("; it is a flag of ", absl::StrJoin(names, " and of "));
}

}  // namespace diptych
