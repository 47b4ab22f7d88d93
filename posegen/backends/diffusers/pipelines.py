"""Load a model and keep it. The only module that imports torch and diffusers.

Everything here runs in the studio's thread. What was used last stays loaded, between images and between the
runs of one process; it goes before another model comes.
"""

from __future__ import annotations

import gc
import inspect
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from posegen.backends.diffusers.failures import failed, not_loaded, unavailable
from posegen.backends.diffusers.options import FAMILIES, FAMILY_OF_CLASS, Family
from posegen.telemetry import logger

log = logger("flux")


@dataclass(frozen=True)
class Weights:
    """What is loaded; equal ones share what is kept. The fields are those of `DiffusersOptions`."""

    model: str
    controlnet: str = ""
    device: str = "auto"
    dtype: str = "auto"
    offload: str = "none"
    revision: str = ""
    variant: str = ""
    local_files_only: bool = False


_kept: list[Loaded] = []
"""What was used last: one or none."""


def load(weights: Weights, token: SecretStr | None = None) -> Loaded:
    """Return the loaded model, which is kept until another one is asked for.

    Raises
    ------
    BackendUnavailableError
        It cannot be loaded.
    """
    if _kept and _kept[0].weights == weights:
        return _kept[0]
    unload()
    started = time.perf_counter()
    with _quietly():
        loaded = Loaded(weights, token)
    log.info("loaded %s on %s in %.1f s", weights.model, loaded.device, time.perf_counter() - started)
    _kept.append(loaded)
    return loaded


def unload() -> None:
    """Let go of what is loaded, and of its memory."""
    if _kept:
        _kept.clear()
        free_memory()


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the bars for parts that are loaded out of logs and notebooks; downloads still show theirs."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    shown = [one for one in (of_diffusers, of_transformers) if one.is_progress_bar_enabled()]
    for one in shown:
        one.disable_progress_bar()
    try:
        yield
    finally:
        for one in shown:
            one.enable_progress_bar()


def free_memory() -> None:
    """Give back what torch keeps for later."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Loaded:
    """A model with the pipelines that drive it, which share its parts.

    Parameters
    ----------
    weights : Weights
    token : SecretStr or None
        For the hub.

    Raises
    ------
    BackendUnavailableError
        The device is not there, or the model cannot be loaded or is of another kind.
    """

    def __init__(self, weights: Weights, token: SecretStr | None) -> None:
        import diffusers

        self.weights = weights
        self.device = _device(weights.device)
        self.family = _family(weights, token)
        self.dtype = _dtype(weights.dtype, self.device, self.family)
        # On the CPU there is nowhere to leave to.
        self.offload = weights.offload if self.device != "cpu" else "none"
        cls = getattr(diffusers, self.family.plain)
        given = {"revision": weights.revision or None, "variant": weights.variant or None}
        try:
            self._plain = cls.from_pretrained(weights.model, **given, **self._source(token))
            self._ready(self._plain)
        except Exception as exc:
            raise not_loaded(f"model {weights.model!r}", exc) from exc
        self._control: Any = None
        self._offloaded: Any = None

    @property
    def controlnet_name(self) -> str:
        """The ControlNet for conditioning "control"."""
        return self.weights.controlnet or self.family.default_controlnet

    @property
    def label(self) -> str:
        """With what, where and in which number format images are made."""
        import diffusers
        import torch

        return (
            f"diffusers {diffusers.__version__}, torch {torch.__version__} "
            f"on {self.device} in {self.number_format}"
        )

    @property
    def number_format(self) -> str:
        """Such as "bfloat16"."""
        return str(self.dtype).removeprefix("torch.")

    def _source(self, token: SecretStr | None) -> dict[str, Any]:
        return {
            "dtype": self.dtype,
            "token": reveal(token),
            "local_files_only": self.weights.local_files_only,
        }

    def _ready(self, pipeline: Any) -> None:
        # Of FLUX it is not true (T5 reads on), and of SDXL the image's own notes say it.
        logging.getLogger(type(pipeline).__module__).addFilter(_not_of_clip)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.vae.enable_slicing()  # one image at a time: less memory, and the same pixels in any batch
        if self.offload == "none":
            pipeline.to(self.device)

    @staticmethod
    def generators(seeds: Sequence[int]) -> list[Any]:
        """Return a random generator for each seed. They work on the CPU, so that a GPU draws the same."""
        import torch

        return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]

    def check_size(self, width: int, height: int) -> None:
        """Raise an ImageFailedError if the model cannot make images of this size."""
        step = self._plain.vae_scale_factor * (2 if self.family.name == "flux" else 1)
        if width % step or height % step:
            raise failed(
                f"{self.weights.model!r} makes images of multiples of {step} pixels, not {width}x{height}",
                "INVALID_SIZE",
            )

    def pipeline(self, *, control: bool, token: SecretStr | None) -> Any:
        """Return the pipeline with or without the ControlNet, which is loaded when it is first needed.

        Raises
        ------
        BackendUnavailableError
            The ControlNet cannot be loaded, or is for another model.
        """
        if control and self._control is None:
            self._control = self._with_controlnet(token)
        pipeline = self._control if control else self._plain
        if self.offload != "none" and self._offloaded is not pipeline:
            # Both pipelines hook the parts they share: the one that is used takes them over.
            getattr(pipeline, f"enable_{self.offload}_cpu_offload")(device=self.device)
            self._offloaded = pipeline
        return pipeline

    def _with_controlnet(self, token: SecretStr | None) -> Any:
        import diffusers

        name = self.controlnet_name
        cls = getattr(diffusers, self.family.controlnet_class)
        try:
            named = cls.load_config(name, token=reveal(token), local_files_only=self.weights.local_files_only)
        except Exception as exc:
            raise not_loaded(f"ControlNet {name!r}", exc) from exc
        self._check_controlnet(name, named)
        try:
            if self._offloaded is not None:
                self._offloaded.remove_all_hooks()
                self._offloaded = None
            with _quietly():
                controlnet = cls.from_pretrained(name, **self._source(token))
            pipeline = self._joined(getattr(diffusers, self.family.control), controlnet)
            self._ready(pipeline)
        except Exception as exc:
            raise not_loaded(f"ControlNet {name!r}", exc) from exc
        return pipeline

    def _joined(self, cls: Any, controlnet: Any) -> Any:
        """Return a pipeline of the parts that are loaded already, and the ControlNet."""
        takes = inspect.signature(cls.__init__).parameters
        known = {**self._plain.config, **self._plain.components}
        shared = {name: value for name, value in known.items() if name in takes}
        return cls(**shared, controlnet=controlnet)

    def _check_controlnet(self, name: str, config: dict[str, Any]) -> None:
        wanted, width = self.family.controlnet_class, self.family.attention_width
        if config.get("_class_name") != wanted:
            raise unavailable(
                f"{name!r} is a {config.get('_class_name')}, and {self.weights.model!r} needs a {wanted}",
                "WRONG_MODEL",
            )
        main = self._plain.transformer if self.family.name == "flux" else self._plain.unet
        if config.get(width) != main.config[width]:
            raise unavailable(
                f"ControlNet {name!r} is for another model than {self.weights.model!r}: "
                f"{width} {config.get(width)}, not {main.config[width]}",
                "WRONG_MODEL",
            )


def _not_of_clip(record: logging.LogRecord) -> bool:
    """Return whether a record is another one than the warning that CLIP reads no more than 77 tokens."""
    return "CLIP can only handle sequences" not in str(record.msg)


def reveal(token: SecretStr | None) -> str | None:
    """Return the hub's key as the libraries take it; None lets them look for the one of a log-in."""
    return token.get_secret_value() if token is not None else None


def _family(weights: Weights, token: SecretStr | None) -> Family:
    from diffusers import DiffusionPipeline

    try:
        config = DiffusionPipeline.load_config(
            weights.model,
            revision=weights.revision or None,
            token=reveal(token),
            local_files_only=weights.local_files_only,
        )
    except Exception as exc:
        raise not_loaded(f"model {weights.model!r}", exc) from exc
    found = config.get("_class_name")
    if found not in FAMILY_OF_CLASS:
        raise unavailable(
            f"model {weights.model!r} is a {found}; this backend drives {', '.join(FAMILY_OF_CLASS)}",
            "WRONG_MODEL",
        )
    return FAMILIES[FAMILY_OF_CLASS[found]]


def _device(name: str) -> str:
    """Return the torch device; "auto" is a GPU if there is one."""
    import torch

    mps = torch.backends.mps.is_available()
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    number = int(name.partition(":")[2] or 0)
    seen = {"cpu": 1, "mps": int(mps), "cuda": torch.cuda.device_count()}[name.partition(":")[0]]
    if number >= seen:
        raise unavailable(
            f"device {name!r} is not there: torch {torch.__version__} sees {seen} of its kind", "NO_DEVICE"
        )
    return name


def _dtype(name: str, device: str, family: Family) -> Any:
    import torch

    if name == "auto":
        name = "float32" if device == "cpu" else family.half
    return getattr(torch, name)
