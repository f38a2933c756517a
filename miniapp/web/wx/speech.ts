/** Reading a page aloud with the browser's own voice. Nothing leaves the device unless the person's voice does so. */

export function speakPage(language: string): boolean {
  const page = document.querySelector<HTMLElement>('.shell-main > section:not([hidden])')
  if (!page || !('speechSynthesis' in window)) return false
  hush()
  const title = document.querySelector('h1')?.textContent ?? ''
  for (const sentence of sentencesOf(title + '\n' + visibleText(page))) {
    const utterance = new SpeechSynthesisUtterance(sentence)
    utterance.lang = language
    utterance.rate = 0.9
    // A voice in a data centre would be told what is on the page.
    const voice = speechSynthesis
      .getVoices()
      .find((one) => one.localService && one.lang.startsWith(language.slice(0, 2)))
    if (voice) utterance.voice = voice
    speechSynthesis.speak(utterance)
  }
  return true
}

export function hush(): void {
  if ('speechSynthesis' in window) speechSynthesis.cancel()
}

/** Long utterances are cut off by some engines, so each line is one. */
export function sentencesOf(text: string): string[] {
  return text
    .split(/\n+|(?<=[。！？])/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

function visibleText(page: HTMLElement): string {
  const tools = page.querySelectorAll<HTMLElement>('[data-silent]')
  tools.forEach((tool) => (tool.hidden = true))
  const text = page.innerText
  tools.forEach((tool) => (tool.hidden = false))
  return text
}
