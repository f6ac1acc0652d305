// A pad of digits for a PIN: for thumbs. The keyboard works as in any field.

export function pads() {
  for (const form of document.querySelectorAll("form[data-pad]")) {
    const field = form.elements.pin;
    form.querySelector(".pad").addEventListener("click", (event) => {
      const button = event.target.closest("button[data-digit]");
      if (!button) return;
      const { digit } = button.dataset;
      field.value = digit ? (field.value + digit).slice(0, field.maxLength) : field.value.slice(0, -1);
    });
  }
}
