// Runs the handler against a server: one expiry after another, many callers at once, another origin, the end.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Net.Http;
using System.Text;
using System.Threading.Tasks;
using ManifestAuth;

internal static class Program
{
    private static ManifestTokens kept;
    private static int saved;

    private static Task Save(ManifestTokens tokens)
    {
        kept = tokens;
        saved++;
        return Task.FromResult(0);
    }

    private static HttpClient Client(Uri server, ManifestAuthHandler handler)
    {
        return new HttpClient(handler) { BaseAddress = server };
    }

    private static async Task<string> Statuses(HttpClient http, int callers)
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => http.GetAsync("api/client/auth/me")));
        return string.Join(",", answers.Select(each => ((int)each.StatusCode).ToString()).Distinct());
    }

    private static async Task Run(Uri server, Uri other, string password)
    {
        var handler = new ManifestAuthHandler(server, null, Save);
        var http = Client(server, handler);
        Console.WriteLine("before " + await Statuses(http, 1));
        try
        {
            await handler.SignInAsync("acme", "author@acme.example", "wrong-wrong-wrong");
        }
        catch (ManifestAuthException refused)
        {
            Console.WriteLine("refused " + refused.Code + " " + (refused.RequestId.Length >= 8));
        }
        await handler.SignInAsync("acme", "author@acme.example", password);
        Console.WriteLine("signed in " + await Statuses(http, 1) + " " + saved);
        await Task.Delay(2100);
        Console.WriteLine("ended " + await Statuses(http, 50) + " " + saved);

        // Its clock is wrong: only the server knows that the token has ended.
        var late = new ManifestTokens(kept.Token, kept.RefreshToken, DateTimeOffset.MaxValue);
        http = Client(server, new ManifestAuthHandler(server, late, Save));
        await Task.Delay(2100);
        Console.WriteLine("refused and repeated " + await Statuses(http, 50) + " " + saved);
        late = new ManifestTokens(kept.Token, kept.RefreshToken, DateTimeOffset.MaxValue);
        http = Client(server, new ManifestAuthHandler(server, late, Save));
        await Task.Delay(2100);
        var body = new StringContent("{\"query\":\"{ me { email } }\"}", Encoding.UTF8, "application/json");
        var graphql = await http.PostAsync("api/client/graphql", body);
        Console.WriteLine("body " + (await graphql.Content.ReadAsStringAsync()).Contains("author@acme.example") + " " + saved);
        Console.WriteLine("other origin '" + await http.GetStringAsync(other) + "'");
        Console.WriteLine("out " + (int)(await http.PostAsync("api/client/auth/sign-out", null)).StatusCode);
        Console.WriteLine("over " + await Statuses(http, 3) + " " + saved + " " + (kept == null));
    }

    private static void Main(string[] given)
    {
        Run(new Uri(given[0]), new Uri(given[1]), given[2]).GetAwaiter().GetResult();
    }
}
