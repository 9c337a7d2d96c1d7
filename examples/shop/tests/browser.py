# Goes through the shop with a real browser: looks, buys, logs in, and tells what it saw.
import sys
try:
    from selenium import webdriver
except ImportError:
    sys.exit("selenium is not installed; as root: apt-get install chromium chromium-driver python3-selenium")
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

base, password, pictures = sys.argv[1:4]


def browser(width, height, phone):
    options = Options()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors",
                 "--no-proxy-server", "--hide-scrollbars", f"--window-size={width},{height}"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if phone:
        metrics = {"width": width, "height": height, "pixelRatio": 2}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


for name, width, height, phone in (("desktop", 1280, 900, False), ("phone", 390, 844, True)):
    driver = browser(width, height, phone)
    wait = WebDriverWait(driver, 30)
    def press(text):
        was = driver.find_element(By.TAG_NAME, "html")
        next(button for button in driver.find_elements(By.TAG_NAME, "button") if button.text == text).click()
        wait.until(lambda _: driver.find_element(By.TAG_NAME, "html") != was)
    def picture(of):
        driver.save_screenshot(f"{pictures}/{name}-{of}.png")
    def cookie():
        return next((each["value"] for each in driver.get_cookies() if each["name"] == "__Host-sid"), None)
    driver.get(base)
    picture("home")
    print(name, "first visit:", cookie())
    driver.get(base + "good/1")
    driver.get(base + "good/4")
    picture("good")
    visitor = cookie()
    press("Put into the cart")
    picture("cart")
    press("Order")
    picture("login")
    driver.find_element(By.NAME, "user").send_keys("ann")
    driver.find_element(By.NAME, "password").send_keys("wrong")
    press("Log in")
    print(name, driver.find_element(By.CSS_SELECTOR, ".wrong").text)
    picture("wrong")
    driver.find_element(By.NAME, "password").send_keys(password)
    press("Log in")
    print(name, "at", driver.current_url[len(base) - 1:], "with another cookie:", cookie() not in (None, visitor))
    wide = driver.execute_script("return document.documentElement.scrollWidth > window.innerWidth")
    driver.get(base + "cookies")
    picture("cookies")
    print(name, "wider than the screen:", wide)
    print(name, "scripts see:", repr(driver.execute_script("return document.cookie")))
    driver.get(base + "cart")
    press("Order")
    print(name, driver.find_element(By.TAG_NAME, "h1").text)
    picture("thanks")
    blocked = [entry["message"] for entry in driver.get_log("browser") if "Content Security" in entry["message"]]
    print(name, "blocked:", blocked)
    driver.quit()
