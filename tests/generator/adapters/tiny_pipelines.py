"""Random-weight pipelines of three architectures, built from configurations and saved in the real format."""

from __future__ import annotations

import json
from pathlib import Path

import torch


def _tokenizer(folder: Path):
    from transformers import CLIPTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["<|startoftext|>", "<|endoftext|>", *(x + end for x in letters for end in ("", "</w>"))]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    vocabulary = {word: i for i, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=16), len(words)


def _word_tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2, "nurse": 3}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=32
    )


def _vae(channels: int):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=[32, 64],
        in_channels=3,
        out_channels=3,
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        latent_channels=channels,
        norm_num_groups=8,
        shift_factor=0.0,
        use_quant_conv=channels == 4,
        use_post_quant_conv=channels == 4,
    )


def make_legible(vae, last, *, scale: float) -> None:
    """Give a pipeline weights with which the way back begins where the way there ended, as after a training.

    The autoencoder sees again what it draws, in its first three channels: channel c travels as a pair (c, -c), the
    norms leave their signs, and SiLU(x) - SiLU(-x) = x. The network's last layer is quietened, so that its answers
    to what the autoencoder lost do not drown the rest.

    Args:
        vae: AutoencoderKL.
        last: layer of the network.
        scale: standard deviation of what the pipeline's sampler ends with.
    """

    def clear(layer):
        for parameter in layer.parameters():
            parameter.zero_()

    def spread(layer):  # channel c -> (c, -c)
        clear(layer)
        for channel in range(3):
            layer.weight[2 * channel, channel, 1, 1] = 1
            layer.weight[2 * channel + 1, channel, 1, 1] = -1

    def gather(layer, gain):  # (c, -c) -> channel c
        clear(layer)
        for channel in range(3):
            layer.weight[channel, 2 * channel, 1, 1] = gain
            layer.weight[channel, 2 * channel + 1, 1, 1] = -gain

    def copy(layer):
        clear(layer)
        rows, columns = layer.weight.shape[2:]
        for channel in range(min(layer.weight.shape[:2])):
            layer.weight[channel, channel, rows // 2, columns // 2] = 1

    with torch.no_grad():
        for name, layer in vae.named_modules():
            if name.endswith(("conv2", "to_out.0")):
                clear(layer)  # what the blocks add
            elif name.endswith(("conv_shortcut", "upsamplers.0.conv", "quant_conv")):
                copy(layer)
            elif name.endswith("downsamplers.0.conv"):
                clear(layer)
                for channel in range(layer.weight.shape[0]):
                    layer.weight[channel, channel, :2, :2] = 0.25
        for half, gain in ((vae.encoder, 1.0), (vae.decoder, 0.3)):
            spread(half.conv_in)
            gather(half.conv_out, gain)
        last.weight.mul_(0.1)
        last.bias.mul_(0.1)
    vae.register_to_config(scaling_factor=scale)


def _text_config(size: int, **more):
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=size,
        hidden_size=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        **more,
    )


def save_stable_diffusion(folder: Path, *, contrast: float = 1.0, legible: bool = False) -> Path:
    """A U-Net with cross-attention and a DDIM scheduler; less contrast leaves room for a watermark."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    folder.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        tokenizer, size = _tokenizer(folder)
        unet = UNet2DConditionModel(
            block_out_channels=(32, 64),
            layers_per_block=1,
            sample_size=16,
            in_channels=4,
            out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=32,
            norm_num_groups=8,
        )
        pipeline = StableDiffusionPipeline(
            vae=_vae(4),
            text_encoder=CLIPTextModel(_text_config(size)),
            tokenizer=tokenizer,
            unet=unet,
            scheduler=DDIMScheduler(clip_sample=False, steps_offset=1),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    if legible:
        make_legible(
            pipeline.vae, pipeline.unet.conv_out, scale=14.6
        )  # how much DDIM enlarges what it starts from
    with torch.no_grad():
        pipeline.vae.decoder.conv_out.weight.mul_(contrast)
    pipeline.save_pretrained(folder / "sd")
    return folder / "sd"


def save_stable_diffusion_3(folder: Path, *, legible: bool = False) -> Path:
    """A multimodal diffusion transformer with a rectified-flow scheduler."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
    from transformers import CLIPTextModelWithProjection, T5Config, T5EncoderModel

    folder.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        tokenizer, size = _tokenizer(folder)
        towers = [CLIPTextModelWithProjection(_text_config(size, projection_dim=32)) for _ in range(2)]
        third = T5EncoderModel(T5Config(vocab_size=8, d_model=64, d_kv=8, d_ff=32, num_layers=1, num_heads=2))
        transformer = SD3Transformer2DModel(
            sample_size=16,
            patch_size=2,
            in_channels=16,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=64,
            caption_projection_dim=32,
            pooled_projection_dim=64,
            out_channels=16,
        )
        pipeline = StableDiffusion3Pipeline(
            vae=_vae(16),
            text_encoder=towers[0],
            text_encoder_2=towers[1],
            text_encoder_3=third,
            tokenizer=tokenizer,
            tokenizer_2=tokenizer,
            tokenizer_3=_word_tokenizer(),
            transformer=transformer,
            scheduler=FlowMatchEulerDiscreteScheduler(),
        )
    if legible:
        make_legible(pipeline.vae, pipeline.transformer.proj_out, scale=1.0)
    pipeline.save_pretrained(folder / "sd3")
    return folder / "sd3"


def save_flux(folder: Path) -> Path:
    """A transformer over packed latents, with steps that depend on the size of the picture."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextModel, T5Config, T5EncoderModel

    folder.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        tokenizer, size = _tokenizer(folder)
        words = T5Config(vocab_size=8, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
        transformer = FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=[4, 4, 8],
            guidance_embeds=True,
        )
        pipeline = FluxPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
            vae=_vae(4),
            text_encoder=CLIPTextModel(_text_config(size)),
            tokenizer=tokenizer,
            text_encoder_2=T5EncoderModel(words),
            tokenizer_2=_word_tokenizer(),
            transformer=transformer,
        )
    make_legible(pipeline.vae, transformer.proj_out, scale=1.0)
    pipeline.save_pretrained(folder / "flux")
    return folder / "flux"
