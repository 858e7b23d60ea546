"""The default protocol: frozen, explained, and the one that the calibration chose."""

import re

from made_up import settings

from normbench.analysis.differences import flat
from normbench.places import config_folder


def test_each_setting_of_the_protocol_says_where_it_is_from():
    explained = re.sub(r"\n\s*#? *", " ", (config_folder() / "protocol.yaml").read_text())
    default = flat({k: v for k, v in settings()["cnn4", "none"].items() if k != "norm"})
    for key in default:
        part, _, setting = key.partition(".")
        if part == "schedule" or setting.endswith(("_target_", "_partial_")):
            continue
        words = setting.replace("lookahead_steps", "lookahead_*")
        assert words.replace("lookahead_pull", "lookahead_*") in explained, key
    assert "schedule.*" in explained
