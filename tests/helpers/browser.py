"""A headless Chromium for tests, which reaches nothing but files of this machine."""

import os
import shutil
import time

import pytest


def open_browser(profile):
    """A driver of Debian's chromium with a profile of its own; skips the test where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (extra 'dev')")
    from selenium.common.exceptions import WebDriverException

    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("there is no chromium with chromedriver here (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    arguments = ["--headless=new", "--disable-dev-shm-usage", "--no-first-run", "--disable-gpu"]
    arguments += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    arguments += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")  # which Chromium refuses to set up for root
    for argument in arguments:
        options.add_argument(argument)
    try:
        return webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    except WebDriverException as error:
        pytest.skip(f"chromium does not start here: {(error.msg or '').splitlines()[0]}")


def set_width(browser, width):
    """A window of this width, narrower than Chromium's own least width, too."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def console_of(browser):
    """What the console was told since this was last asked, as Chromium logs it a little later."""
    end = f"the end, at {time.monotonic()}"
    browser.execute_script("console.log(arguments[0])", end)
    told: list[dict] = []
    deadline = time.monotonic() + 120
    while not any(end in entry["message"] for entry in told):
        assert time.monotonic() < deadline, f"the console is silent: {told}"
        told += browser.get_log("browser")
    return [entry["message"] for entry in told if end not in entry["message"]]
