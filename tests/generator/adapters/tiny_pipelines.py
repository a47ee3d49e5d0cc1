"""Random-weight pipelines of two architectures, built from configurations and saved in the real format."""

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


def save_stable_diffusion(folder: Path, *, contrast: float = 1.0) -> Path:
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
    with torch.no_grad():
        pipeline.vae.decoder.conv_out.weight.mul_(contrast)
    pipeline.save_pretrained(folder / "sd")
    return folder / "sd"


def save_stable_diffusion_3(folder: Path) -> Path:
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
    pipeline.save_pretrained(folder / "sd3")
    return folder / "sd3"
