// SPDX-License-Identifier: Apache-2.0

package diag

import "unicode"

// cells returns how many columns of a terminal r takes: none for a mark on the character before it, two for
// the wide ones of East Asia and for pictures (Unicode Standard Annex 11), else one.
func cells(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case 0xff61 <= r && r <= 0xffdc: // half as wide as their kin
		return 1
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo, unicode.Yi):
		return 2
	case 0x3000 <= r && r <= 0x303e, 0xff01 <= r && r <= 0xff60, 0xffe0 <= r && r <= 0xffe6, 0x1f300 <= r && r <= 0x1faff:
		return 2
	}
	return 1
}
