/**
 * Shares of a secret (Shamir, CACM 1979) over GF(2^8) with the polynomial of AES, byte by byte: server/record/shares.py.
 * The phone only splits; whoever joins shares is an organisation. Takes no table and no branch that depends on a secret.
 */

/** More than half of the organisations open together: 1 of 1, 2 of 3, 3 of 4, 4 of 7. */
export function thresholdOf(members: number): number {
  return Math.floor(members / 2) + 1
}

/** `count` shares; any `coefficients.length + 1` of them give the secret back. Share i is the value at i + 1. */
export function split(secret: Uint8Array, coefficients: readonly Uint8Array[], count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, number) => evaluate([secret, ...coefficients], number + 1))
}

/** Horner's rule, for every byte; the coefficient of the highest power is the last. */
function evaluate(polynomial: readonly Uint8Array[], place: number): Uint8Array {
  const value = new Uint8Array(polynomial[0]!.length)
  for (const coefficient of [...polynomial].reverse()) {
    for (let at = 0; at < value.length; at++) value[at] = multiply(value[at]!, place) ^ coefficient[at]!
  }
  return value
}

/** FIPS 197 4.2. */
function multiply(one: number, other: number): number {
  let product = 0
  for (let bit = 0, power = one; bit < 8; bit++) {
    product ^= power & -((other >> bit) & 1)
    power = (power << 1) ^ (0x11b & -(power >> 7))
  }
  return product
}
