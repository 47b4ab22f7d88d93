"""Makes tiny randomly initialised pipelines, so that the backend `diffusers` runs for real with no weights.

    python tools/tiny_pipelines.py flux FOLDER       writes FOLDER/model and FOLDER/controlnet
    python tools/tiny_pipelines.py sdxl FOLDER

Their pictures are noise that follows prompt, seed and control map: fit for tests and for trying things out.
The parts are those of the real pipelines, saved in the same layout, and need 3 MB.
"""

from __future__ import annotations

import argparse
import string
from pathlib import Path

WEIGHTS_SEED = 7

CLIP_VOCABULARY = ["<|startoftext|>", "<|endoftext|>", *string.ascii_lowercase, *string.digits, ",", "."]
CLIP_LENGTH = 77


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("family", choices=["flux", "sdxl"])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    write = {"flux": write_flux, "sdxl": write_sdxl}[arguments.family]
    model, controlnet = write(arguments.folder)
    print(f"model: {model}\ncontrolnet: {controlnet}")


def write_flux(folder: Path, num_mode: int | None = None) -> tuple[str, str]:
    """Write a tiny FLUX.1 pipeline and its ControlNet; return their paths."""
    import torch
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        FluxControlNetModel,
        FluxPipeline,
        FluxTransformer2DModel,
    )

    torch.manual_seed(WEIGHTS_SEED)
    shape = {
        "patch_size": 1,
        "in_channels": 16,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": 32,
        "pooled_projection_dim": 32,
        "axes_dims_rope": [4, 4, 8],
        "guidance_embeds": True,
    }
    transformer = FluxTransformer2DModel(num_layers=1, num_single_layers=1, **shape)
    controlnet = FluxControlNetModel(num_layers=1, num_single_layers=1, num_mode=num_mode, **shape)
    _wake(controlnet)
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=_vae(latent_channels=4, shift_factor=0.1),
        text_encoder=_clip(),
        tokenizer=_clip_tokenizer(),
        text_encoder_2=_t5(),
        tokenizer_2=_t5_tokenizer(),
        transformer=transformer,
    )
    return _save(pipeline, controlnet, folder)


def write_sdxl(folder: Path) -> tuple[str, str]:
    """Write a tiny SDXL pipeline and its ControlNet; return their paths."""
    import torch
    from diffusers import (
        ControlNetModel,
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )

    torch.manual_seed(WEIGHTS_SEED)
    shape = {
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "in_channels": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "attention_head_dim": (2, 4),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "transformer_layers_per_block": (1, 1),
        "projection_class_embeddings_input_dim": 6 * 8 + 32,
        "cross_attention_dim": 64,
        "norm_num_groups": 8,
    }
    unet = UNet2DConditionModel(
        sample_size=16, out_channels=4, up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **shape
    )
    controlnet = ControlNetModel(conditioning_embedding_out_channels=(8, 8, 16, 16), **shape)
    _wake(controlnet)
    pipeline = StableDiffusionXLPipeline(
        vae=_vae(latent_channels=4),
        text_encoder=_clip(),
        text_encoder_2=_clip(projection=True),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_clip_tokenizer(),
        unet=unet,
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading"
        ),
        add_watermarker=False,
    )
    return _save(pipeline, controlnet, folder)


def _save(pipeline, controlnet, folder: Path) -> tuple[str, str]:
    model_path, controlnet_path = folder / "model", folder / "controlnet"
    pipeline.save_pretrained(model_path)
    controlnet.save_pretrained(controlnet_path)
    return str(model_path), str(controlnet_path)


def _wake(controlnet) -> None:
    """Give the output layers weights: they start at zero, and the control map would have no effect."""
    import torch

    for name, parameter in controlnet.named_parameters():
        if "controlnet_" in name and parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)


def _vae(latent_channels: int, shift_factor: float = 0.0):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        block_out_channels=(4, 4, 4, 8),  # as many as the real ones: an eighth of the size, so few latents
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        mid_block_add_attention=False,
        shift_factor=shift_factor,
        scaling_factor=1.0,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def _clip(*, projection: bool = False):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        hidden_size=32,
        projection_dim=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        vocab_size=2 * len(CLIP_VOCABULARY),
        max_position_embeddings=CLIP_LENGTH,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def _clip_tokenizer():
    """Return a CLIP tokenizer that knows single letters and digits."""
    from transformers import CLIPTokenizer

    endings = [f"{token}</w>" for token in CLIP_VOCABULARY[2:]]
    vocabulary = {token: index for index, token in enumerate([*CLIP_VOCABULARY, *endings])}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=CLIP_LENGTH)


def _t5():
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=64, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    return T5EncoderModel(config).eval()


def _t5_tokenizer():
    """Return a T5 tokenizer that knows single letters, digits and the beginnings of words."""
    from transformers import T5TokenizerFast

    pieces = ["▁", *string.ascii_lowercase, *string.digits, ",", "."]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((piece, -2.0) for piece in pieces)]
    return T5TokenizerFast(vocab=vocabulary, extra_ids=0, model_max_length=512)


if __name__ == "__main__":
    main()
