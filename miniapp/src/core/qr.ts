/** QR codes as data URLs: an `image` on both targets, so no canvas differs and the picture carries a label. */

import qrcode from 'qrcode-generator'

const CELL_PX = 8
const MARGIN_PX = 32
/** Upper-case tokens fit the alphanumeric mode (ISO/IEC 18004 7.4.4), which makes larger modules. */
const ALPHANUMERIC = /^[0-9A-Z $%*+./:-]+$/

export function qrDataUrl(text: string): string {
  const code = qrcode(0, 'M')
  code.addData(text, ALPHANUMERIC.test(text) ? 'Alphanumeric' : 'Byte')
  code.make()
  return code.createDataURL(CELL_PX, MARGIN_PX)
}
