# SPDX-License-Identifier: Apache-2.0
"""Kernels and modules to debug: configured, checked, built, cached; and a doctor for kernels built by others.

A kernel that nullmodem builds is made once for every content (source, settings, compiler) and kept in the cache. See
cache.py for how it becomes visible there, settings.py for the fragment language, module.py for module builds.
"""

from nullmodem.kbuild.build import KernelRequest, build_kernel, ensure_kernel, kernel_request, standard_names
from nullmodem.kbuild.cache import cache_root
from nullmodem.kbuild.config_file import KernelConfig, read_kernel_config
from nullmodem.kbuild.doctor import Diagnosis, Finding, diagnose
from nullmodem.kbuild.doctor_rules import Verdict
from nullmodem.kbuild.kernel import Kernel, find_kernel, list_kernels, open_build_tree
from nullmodem.kbuild.module import BuiltModule, build_module
from nullmodem.kbuild.progress import Progress, ProgressCallback, Stage

__all__ = [
    "BuiltModule",
    "Diagnosis",
    "Finding",
    "Kernel",
    "KernelConfig",
    "KernelRequest",
    "Progress",
    "ProgressCallback",
    "Stage",
    "Verdict",
    "build_kernel",
    "build_module",
    "cache_root",
    "diagnose",
    "ensure_kernel",
    "find_kernel",
    "kernel_request",
    "list_kernels",
    "open_build_tree",
    "read_kernel_config",
    "standard_names",
]
