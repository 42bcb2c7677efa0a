//! One macro for a table of codes: each code is one line with its number, its name and its text.

/// Makes an enum and what belongs to it out of one line a code.
///
/// ```text
/// number Variant "text" "Sentence of documentation."
/// ```
///
/// - With numbers: the enum has these discriminants, `ALL`, `name`, and `of_number` for the number on the wire.
/// - With numbers and a last line `else Other "..."`: `Other(u32)` stands for all other numbers. The enum has `as_u32`,
///   `from_u32` and `text`.
/// - Without numbers: the enum has `ALL` and `name`.
macro_rules! code_table {
    (
        $(#[$attr:meta])*
        pub enum $table:ident {
            $($number:literal $variant:ident $text:literal $doc:literal)+
        }
        name: $name_doc:literal
    ) => {
        $(#[$attr])*
        pub enum $table {
            $(#[doc = $doc] $variant = $number,)+
        }

        impl $table {
            /// The code of a number; `None` if no code has it.
            const fn of_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some($table::$variant),)+
                    _ => None,
                }
            }
        }

        $crate::codes::code_table!(@names $table, $name_doc, $($variant $text)+);
    };
    (
        $(#[$attr:meta])*
        pub enum $table:ident {
            $($number:literal $variant:ident $text:literal $doc:literal)+
            else $other:ident $other_doc:literal
        }
    ) => {
        $(#[$attr])*
        pub enum $table {
            $(#[doc = $doc] $variant,)+
            #[doc = $other_doc]
            $other(u32),
        }

        impl $table {
            /// The number on the wire.
            pub const fn as_u32(self) -> u32 {
                match self {
                    $($table::$variant => $number,)+
                    $table::$other(number) => number,
                }
            }

            /// The code of a number on the wire.
            pub const fn from_u32(number: u32) -> Self {
                match number {
                    $($number => $table::$variant,)+
                    number => $table::$other(number),
                }
            }

            /// The text for people; `None` for a number that has no line.
            const fn text(self) -> Option<&'static str> {
                match self {
                    $($table::$variant => Some($text),)+
                    $table::$other(_) => None,
                }
            }
        }
    };
    (
        $(#[$attr:meta])*
        pub enum $table:ident {
            $($variant:ident $text:literal $doc:literal)+
        }
        name: $name_doc:literal
    ) => {
        $(#[$attr])*
        pub enum $table {
            $(#[doc = $doc] $variant,)+
        }

        $crate::codes::code_table!(@names $table, $name_doc, $($variant $text)+);
    };
    (@names $table:ident, $name_doc:literal, $($variant:ident $text:literal)+) => {
        impl $table {
            /// All codes, in the order of the table.
            pub const ALL: [$table; [$($text),+].len()] = [$($table::$variant),+];

            #[doc = $name_doc]
            pub const fn name(self) -> &'static str {
                match self {
                    $($table::$variant => $text,)+
                }
            }
        }

        impl core::fmt::Display for $table {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use code_table;
