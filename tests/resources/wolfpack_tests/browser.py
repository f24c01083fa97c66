# SPDX-License-Identifier: Apache-2.0
"""The telemetry report as a person sees it: in a browser without a window."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from robot.api import logger
from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from wolfpack_tests.clients import clients

BROWSERS = ("chromium", "google-chrome")
"""Programs that chromedriver can drive, the first of which that is there is taken."""

ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars")
"""Of the browser: no window, and what it needs where root runs it or /dev/shm is small, as in a container."""


@library(scope="SUITE")
class Browser:
    """Keywords that open a page and read it. `Close Browser` ends the browser."""

    def __init__(self) -> None:
        self._driver: Chrome | None = None

    @keyword
    def open_in_browser(self, address: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open a file or a URL in a window of so many pixels, as someone who likes dark pages if asked."""
        url = address if re.match(r"^https?://", address) else Path(address).resolve().as_uri()
        driver = self._started()
        driver.set_window_size(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        driver.get(url)

    @keyword
    def tile_should_show(self, metric: str, expected: int | dict[str, int]) -> None:
        """Compare the figure on the tile of a metric, by its number, with a count or with the sum of counts."""
        figure = self._browser().find_element(By.CSS_SELECTOR, f'[data-metric="{metric}"] .value').text
        total = sum(expected.values()) if isinstance(expected, dict) else expected
        if figure != str(total):
            raise AssertionError(f"the tile of metric {metric} shows {figure!r}, expected {total}")

    @keyword
    def page_should_not_be_wider_than_the_window(self) -> None:
        """Fail if a person has to scroll sideways."""
        script = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        content, window = self._browser().execute_script(script)
        if content > window:
            raise AssertionError(f"the page is {content} pixels wide in a window of {window}")

    @keyword
    def page_should_have_asked_for_nothing_else(self) -> None:
        """Fail if the page loaded anything beside itself, or complained about anything."""
        browser = self._browser()
        loaded: list[str] = browser.execute_script(
            "return performance.getEntriesByType('resource').map(entry => entry.name)"
        )
        said = [entry["message"] for entry in self._log(browser)]
        if loaded or said:
            raise AssertionError(f"the page loaded {loaded} and said {said}")

    @keyword
    def background_of_page(self) -> int:
        """Return how light the page's background is, from 0 for black to 255."""
        colour = self._browser().find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
        channels = [int(channel) for channel in re.findall(r"\d+", colour)[:3]]
        return sum(channels) // 3

    @keyword
    def keep_screenshot(self, name: str) -> None:
        """Keep a picture of the whole page beside the report of the run."""
        folder = Path(str(BuiltIn().get_variable_value("${LABS}"))).parent / "screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}.png"
        browser = self._browser()
        width, height = browser.execute_script("return [document.body.scrollWidth, document.documentElement.scrollHeight]")
        browser.set_window_size(width, height)
        browser.save_screenshot(str(file))
        logger.info(f'<img src="{file}" width="800">', html=True)

    @keyword
    def close_browser(self) -> None:
        """End the browser, if it was opened."""
        driver, self._driver = self._driver, None
        if driver:
            driver.quit()

    def _started(self) -> Chrome:
        """Return the browser, started if it was not. Its profile is in the lab's folder, which goes with the lab."""
        if not self._driver:
            program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
            driver = shutil.which("chromedriver")
            if not program or not driver:
                raise AssertionError(f"there is no chromedriver, or none of {', '.join(BROWSERS)}")
            options = ChromeOptions()
            options.binary_location = program
            for argument in (
                "--headless=new",
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--hide-scrollbars",
            ):
                options.add_argument(argument)
            options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
            log = clients().lab.logs / "own" / "chromedriver.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            self._driver = Chrome(options, Service(driver, log_output=str(log)))
        return self._driver

    def _browser(self) -> Chrome:
        if not self._driver:
            raise AssertionError("no page is open: use Open In Browser first")
        return self._driver

    @staticmethod
    def _log(browser: Chrome) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
        return entries
