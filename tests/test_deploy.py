"""The container file and the unit of systemd agree with the command."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import invoke

from nlpkit.serve.limits import Limits

DEPLOY = Path(__file__).parents[1] / "deploy"
UNIT = (DEPLOY / "nlpkit.service").read_text(encoding="utf-8")
CONTAINER = (DEPLOY / "Containerfile").read_text(encoding="utf-8")


def test_their_options_exist():
    known = invoke("serve", "--help").stdout
    options = re.findall(r"--(?:task|host|port|graph|index|model)\b", CONTAINER + UNIT)
    assert {"--host", "--task", "--port"} <= set(options)
    assert all(option in known for option in options)
    assert "NLPKIT_API_KEY" in known


def test_the_torch_of_the_container_is_one_that_the_package_admits():
    project = (DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8")
    [bounds] = re.findall(r'^  "(torch[^"]+)"', project, re.MULTILINE)
    assert f'"{bounds}"' in CONTAINER


def test_systemd_waits_until_what_was_accepted_is_answered():
    [seconds] = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert int(seconds) > Limits().timeout


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_knows_the_unit(tmp_path):
    unit = tmp_path / "nlpkit.service"
    unit.write_text(UNIT.replace("/opt/nlpkit/bin/nlpkit", "/bin/true"), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
