"""What a start does not wait for."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["microduet", "microduet.device", "microduet.job", "microduet.bench"])
def test_nothing_imports_torch_before_it_is_needed(module: str) -> None:
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("module", ["microduet.job", "microduet.planner.command"])
def test_nothing_imports_the_solver_before_a_best_plan_is_asked_for(module: str) -> None:
    program = f"import sys, {module}; sys.exit('ortools' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_nothing_imports_matplotlib_before_a_picture_is_drawn() -> None:
    program = "import sys, microduet.load_command; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
